"""Lipschitz networks: which parameterization certifies and withstands how much (Li et al. 2019)."""
