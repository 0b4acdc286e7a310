"""Perturbations of trees of arrays."""
