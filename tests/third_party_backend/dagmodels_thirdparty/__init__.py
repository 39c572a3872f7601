"""A package outside dagmodels that brings a backend."""
