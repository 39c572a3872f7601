"""The columns and codes of a sweep's table; see `sweep_steps`. Apart from it, because plans need no
kernels.
"""

from __future__ import annotations

DRAW, FIRST, INSIDE, LAST, COUNT, SLOTS, EXTRA, NUMBERS, SELDOM, PATTERN = range(10)
PARAMETERS = (
    10  # pairs of columns: the place of a parameter, and 0 where it is one number for all draws, else 1
)
MOST = 4  # parameters of an update
COLUMNS = PARAMETERS + 2 * MOST
CODES = {
    "normal": 0,
    "cut normal": 1,
    "gamma": 2,
    "inverse gamma": 3,
    "beta": 4,
    "dirichlet": 5,
    "enumerate": 6,
    "slice": 7,
    "integer slice": 8,
    "polya-gamma": 9,
    "unit cut normal": 10,
    "wishart": 11,
    "inverse wishart": 12,
    "joint normal": 13,
    "copy": 14,
    "log gamma curves": 15,
    "log gamma ratio": 16,
    "accept": 17,
    "chains": 18,
    "units": 19,
    "marginal slice": 20,
    "cut gamma": 21,
    "cut beta": 22,
    "inverse gaussian": 23,
    "python": 99,  # drawn outside: the loop runs its operations and ends there
}
BLOCK = 14  # columns of a joint block: n, ts, base, size, counts of places and rows, and bounds of four parts
LENGTHS = ("dirichlet",)  # codes whose second parameter is a list: its pair has the length instead
ROWS = 12  # of the scratch matrix
CURVES = 12  # of a mixture that stands for a log gamma density, at most
TO_HALF = 0.75  # shapes up to which that of 1/2 serves
EXACT, RATIO = 20, 1.1  # counts up to which each has a mixture of its own, and steps between those beyond
