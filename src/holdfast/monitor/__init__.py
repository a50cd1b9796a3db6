"""Growing logs: lines as they are written, each once, and hints that there are some."""
