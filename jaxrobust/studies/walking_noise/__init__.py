"""Walking noise: which position of a network tolerates how much noise (Borras et al., arXiv 2212.10430)."""
