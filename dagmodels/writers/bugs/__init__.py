"""Graph -> BUGS text, and its data as BUGS has them.

names    legal names, loop variables
trees    expressions and indices
laws     distributions, the inverse of the reader's table
boxes    which elements each statement of a node gives, where statements overlap
model    statements in their loops
data     sizes, covariates, memberships and observations by name
"""

from __future__ import annotations

from dagmodels.writers.bugs.data import bugs_data
from dagmodels.writers.bugs.model import dag_to_bugs

__all__ = ["bugs_data", "dag_to_bugs"]
