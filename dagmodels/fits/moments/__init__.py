"""Fits from the moments of exchangeable units, whichever backend searches: start, certificate, report."""
