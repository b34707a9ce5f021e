"""What is usual where nobody says otherwise; the help of commands imports it, and no more."""

FRAMES = 16
"""Frames that one visit to a mailbox asks for: always as many, whatever is there."""
