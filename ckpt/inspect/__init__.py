"""What is in a checkpoint, from its headers alone. Knows formats and messages, no graph and no session."""
