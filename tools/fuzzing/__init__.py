"""Fuzzing of file formats: what mutants are made of, how they are made, and who reads them. Run by `tools/fuzz.py`."""
