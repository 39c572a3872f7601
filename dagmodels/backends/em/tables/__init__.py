"""Tables of a discrete network from cases in which nodes are hidden."""
