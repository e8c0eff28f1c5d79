"""Training: the compiled update, the run around it, its results."""
