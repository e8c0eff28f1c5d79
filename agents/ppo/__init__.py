"""Proximal policy optimization: advantages, loss, rollout, update."""
