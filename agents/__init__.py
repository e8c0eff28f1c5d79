"""Agents that learn to play: networks, proximal policy optimization, curricula, training."""
