"""Sources: per source one translator from records to events."""
