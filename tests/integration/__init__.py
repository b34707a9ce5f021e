"""Tests against foreign servers and in fresh environments, as root, with what apt installs.

A server that is missing here is a failure, never a reason to skip.
"""
