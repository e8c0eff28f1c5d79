"""Levels: what they are, files, padding and batches."""
