"""Proximal policy optimisation, the only one: advantages, loss, rollout, update."""
