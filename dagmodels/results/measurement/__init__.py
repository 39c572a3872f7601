"""Results of models whose covariates are measured with error."""
