"""Fuzzing: every parser that a peer, a user's file or a server on the other side can reach."""
