"""Fits from the moments of exchangeable units by Newton's steps; what they share with others is in `fits`."""
