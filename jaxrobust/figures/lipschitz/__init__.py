"""Figures and tables of Lipschitz networks."""
