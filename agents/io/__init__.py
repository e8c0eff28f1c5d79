"""Files of a run: folder, checkpoints, metrics, figures."""
