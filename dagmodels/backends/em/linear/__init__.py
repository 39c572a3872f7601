"""Conditional linear-Gaussian networks from cases with gaps, and mixtures with continuous latents, by EM."""
