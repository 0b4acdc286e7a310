"""Pruning: masks as trees, rules that make them smaller, and an optax wrapper that keeps to them."""
