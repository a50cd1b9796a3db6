"""Agents that outlive who started them: a shim for each, and what reads and decides from what the shims leave behind."""
