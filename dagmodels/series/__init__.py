"""Coefficients of expansions, for kernels and arrays alike."""
