"""Numbers about a network."""
