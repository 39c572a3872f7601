"""The models of specs/: what each is simulated with, and reference results."""
