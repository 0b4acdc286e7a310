"""Figures of the stitching study."""
