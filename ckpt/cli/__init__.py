"""The command line: parse, call, print. One file per verb; nothing is computed here."""
