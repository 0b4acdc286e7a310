"""Bounds that hold for every perturbation in a region."""
