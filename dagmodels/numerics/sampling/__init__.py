"""Draws from densities given as functions or tapes: one way of drawing a file; knows no graphs."""
