"""Layers of binary units with more states than can be summed: EM whose states are drawn (Gibbs within EM)."""
