"""Pictures of levels and states."""
