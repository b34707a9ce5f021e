"""Paths through the network: the language people write them in, and how they are chosen."""
