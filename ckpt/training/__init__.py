"""Programs that train: sessions that recover, hooks, threads that stop together, summaries in event files."""
