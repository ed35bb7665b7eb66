"""The static graph: what is computed and where it comes from, never how it is run."""
