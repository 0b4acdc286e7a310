"""Figures of the study of walking noise: evaluated grid points in, pictures and tables out."""
