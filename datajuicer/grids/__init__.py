"""Grids of settings: lists of points, seen as tables and data frames."""
