"""CPU times beside their bounds and other programs' figures: `python -m benchmarks`."""
