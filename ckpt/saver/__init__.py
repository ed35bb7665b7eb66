"""Saving and restoring: Saver, the state file beside the checkpoints, retention. Never creates a session."""
