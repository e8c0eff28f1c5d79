"""Agents that learn to play: networks, proximal policy optimisation, curricula, training."""
