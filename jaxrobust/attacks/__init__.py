"""Attacks: gradient ascent inside a bounded region, and the robust loss."""
