"""Thresholds, polychoric and polyserial correlations, and how they vary from sample to sample."""
