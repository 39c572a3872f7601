"""Identification verdicts from the path diagram: one rule a file, `rules.py` has them in order."""
