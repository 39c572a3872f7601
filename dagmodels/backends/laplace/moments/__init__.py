"""Maximum likelihood from the moments of exchangeable units: start, fit, report."""
