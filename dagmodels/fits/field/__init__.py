"""Fits of latent Gaussian fields, whichever backend searches: starts, steps, certificate, report, refits."""
