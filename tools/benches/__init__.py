"""The benchmarks, one subject per file."""
