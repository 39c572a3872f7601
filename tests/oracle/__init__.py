"""A brute-force oracle for linear-Gaussian graphs, kept apart from every fast route of the package."""
