"""What Markov chains are worth: mixing, effective sizes, Monte Carlo errors, and weights of their draws."""
