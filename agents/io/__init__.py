"""What a run writes and reads: folders, checkpoints, metrics, pictures."""
