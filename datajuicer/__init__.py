"""Grids of settings in, results out: nothing is computed twice."""
