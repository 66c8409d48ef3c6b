"""One verb per module: its options, its words, and nothing that takes time to import."""
