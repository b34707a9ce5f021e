"""Private files written whole or not at all, and locks."""
