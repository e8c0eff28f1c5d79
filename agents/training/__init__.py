"""Training: the state of a run, its update as one compiled program, evaluation."""
