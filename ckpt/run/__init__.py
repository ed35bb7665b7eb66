"""From a graph to values: fetches, plans and the two executors. Imports no operation."""
