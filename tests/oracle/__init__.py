"""The differential tests: one TF1 program, two implementations, the same answers."""
