"""Joint mode, marginal mode and posterior mean of a hierarchical model, side by side."""
