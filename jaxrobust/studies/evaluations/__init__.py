"""Cachable evaluations of trained grid points: numbers out, for tables and figures."""
