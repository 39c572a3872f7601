"""Linear Gaussian latents that hang together (state space, mixed models, factors), by EM on the field."""
