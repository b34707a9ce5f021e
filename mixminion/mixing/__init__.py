"""Mixing strategies and delays."""
