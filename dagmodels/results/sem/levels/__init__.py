"""Structural models of two levels: a fit from moments of clusters under lavaan's names."""
