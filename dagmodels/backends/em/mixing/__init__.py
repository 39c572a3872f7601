"""Latents of unknown distribution: nonparametric, log-spline and unimodal mixing laws."""
