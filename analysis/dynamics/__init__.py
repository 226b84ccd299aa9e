"""Trained networks as dynamical systems: states, roots of their speed, which of these are one, and what they are."""
