"""Proximal policy optimization, the only one: advantages, loss, rollout, update."""
