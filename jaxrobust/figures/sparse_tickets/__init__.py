"""Figures and tables of the sparse tickets."""
