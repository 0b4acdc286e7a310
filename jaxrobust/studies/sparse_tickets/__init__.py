"""Lottery tickets under adversarial training: rounds of pruning, their strategies, and what is measured."""
