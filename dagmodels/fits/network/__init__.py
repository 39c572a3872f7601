"""Exact answers of discrete networks: probabilities, most probable states, what excludes what."""
