"""Structural equation models: a fit from moments under lavaan's names."""
