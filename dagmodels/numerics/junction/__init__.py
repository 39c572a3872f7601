"""Junction trees of discrete networks: order of elimination, cliques, messages for many rows at once."""
