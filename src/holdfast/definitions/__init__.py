"""Definitions of agents: the files that say what an agent is, which of them counts where, and what is wrong with them."""
