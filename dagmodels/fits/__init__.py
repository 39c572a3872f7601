"""What fits of several backends are made of: unknowns, defined quantities, predictions and profiles.

No backend: backends import these, and never one another.
"""
