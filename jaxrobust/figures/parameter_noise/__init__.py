"""Figures of the study of parameter noise: evaluated grid points in, pictures and tables out."""
