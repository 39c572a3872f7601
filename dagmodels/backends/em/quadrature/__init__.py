"""Continuous latents of units integrated on nodes, all else maximised by EM."""
