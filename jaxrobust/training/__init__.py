"""One training loop for every network and method."""
