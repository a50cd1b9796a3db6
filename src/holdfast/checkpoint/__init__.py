"""Checkpoints of a workspace: its files as they lie there, kept by git beside everything the user has in it."""
