"""Stitching: two networks joined by a trained layer, and maps between their representations."""
