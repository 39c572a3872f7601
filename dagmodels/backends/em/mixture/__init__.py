"""EM on graphs with discrete latents: mixtures, latent classes, hidden Markov chains, misclassification."""
