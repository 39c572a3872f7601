import numpy as np

from dagmodels.data.distinct import count_distinct


def test_counts() -> None:
    rng = np.random.default_rng(0)
    for size in (0, 1, 2, 50):
        values = rng.integers(0, 20, size)
        assert count_distinct(values) == len(set(values.tolist()))
