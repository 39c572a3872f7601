"""Generated vector nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .draft import Draft


def vector(d: Draft) -> None:
    """Correlated intercepts and slopes as one vector node, as a tuple, or through `~~`."""
    of_group = d.within(int(d.rng.integers(5, 9)), 1, 7, 45)
    rows = np.arange(len(of_group))
    d.plate("g")
    d.plate("row in g")
    d.labels("g", of_group, "g")
    d.covariate("x", "row", rows)
    d.covariate("z", "g", of_group)
    mean = d.pick(vector_plate, vector_tuple, vector_residual)(d)
    d.say(f"observed y[row] ~ Normal({mean}, {d.scale('s')})")
    d.observe("y", rows)


def _covariance(d: Draft, k: int) -> np.ndarray[Any, Any]:
    root = d.rng.standard_normal((k, k + 1)) * 0.7
    return np.round(root @ root.T + 0.1 * np.eye(k), 3)


def vector_plate(d: Draft) -> str:
    k = d.pick(2, 2, 3)
    levels = ["intercept", "slope", "bend"][:k]
    d.plate("coef = " + ", ".join(f'"{level}"' for level in levels))
    d.plate("coef2 as coef")
    cov = _covariance(d, k)
    style = d.pick("cov", "tau", "chol", "sds")
    if style == "cov":
        d.outer("S", cov, "parameter S[coef, coef2] covariance")
        law = d.pick("S", "cov=S")
    elif style == "tau":
        d.outer("P", np.linalg.inv(cov).round(4), "P[coef, coef2] ~ Wishart(5, V)")
        rows = [[1.0 if i == j else 0.0 for j in range(k)] for i in range(k)]
        d.say(f"constant V[coef, coef2] = {rows}")
        law = "tau=P"
    elif style == "chol":
        d.outer("L", np.linalg.cholesky(cov).round(4), "parameter L[coef, coef2]")
        d.say(*(f'L["{levels[i]}", "{levels[j]}"] = 0' for i in range(k) for j in range(i + 1, k)))
        law = "chol=L"
    else:
        d.outer("sd", np.sqrt(np.diag(cov)).round(3), "parameter sd[coef] > 0")
        d.outer("rho", 0.3, "parameter rho in (-1, 1)")
        d.say("C[coef, coef2] = sd[coef]*sd[coef2]*if_else(coef == coef2, 1, rho)")
        law = "cov=C"
    d.coefficient("m[coef]")
    d.roles["m"] = d.roles.pop("m[coef]")
    mean = "m"
    if d.chance(0.4):
        d.say("m2[coef] ~ Normal(0, 2)")
        d.roles["m2"] = "random"
        d.say("mean_b[g, coef] = m + m2*z")
        mean = "mean_b"
    d.say(f"b[g, coef] ~ MvNormal({mean}, {law})")
    return " + ".join(['b[g, "intercept"]', 'b[g, "slope"]*x', 'b[g, "bend"]*x**2'][:k])


def vector_tuple(d: Draft) -> str:
    m_a, m_b = d.coefficient("m_a"), d.coefficient("m_b")
    mean_b = f"{m_b} + {d.coefficient('m_z')}*z" if d.chance() else m_b
    if d.chance():
        d.plate('coef = "a", "b"')
        d.plate("coef2 as coef")
        d.outer("S", _covariance(d, 2), "parameter S[coef, coef2] covariance")
        law = "S"
    else:
        d.deviation("s_a")
        d.deviation("s_b")
        d.outer("rho", round(float(d.rng.uniform(-0.8, 0.8)), 3), "parameter rho in (-1, 1)")
        law = "[[s_a**2, rho*s_a*s_b], [rho*s_a*s_b, s_b**2]]"
    d.say(f"(a, b)[g] ~ MvNormal([{m_a}, {mean_b}], {law})")
    return "a[g] + b[g]*x"


def vector_residual(d: Draft) -> str:
    m_a, m_b, m_z = d.coefficient("m_a"), d.coefficient("m_b"), d.coefficient("m_z")
    s_a, s_b = d.deviation("s_a", 0.6), d.deviation("s_b", 0.6)
    d.say(f"a[g] ~ Normal({m_a} + {m_z}*z, {s_a})", f"b[g] ~ Normal({m_b}, {s_b})")
    if d.chance():
        d.outer("rho", round(float(d.rng.uniform(-0.8, 0.8)), 3), "parameter rho in (-1, 1)")
        d.say(f"a ~~ b = rho*{s_a}*{s_b}")
    else:
        d.outer("c_ab", round(float(d.rng.uniform(-0.3, 0.3)), 3), "parameter c_ab")
        d.say("a ~~ b = c_ab")
    if d.chance(0.4):
        d.say(f"c[g] ~ Normal(0, {d.deviation('s_c', 0.6)})")
        d.outer("c_bc", round(float(d.rng.uniform(-0.2, 0.2)), 3), "parameter c_bc")
        d.say("b ~~ c = c_bc")
        return "a[g] + b[g]*x + c[g]*x**2"
    return "a[g] + b[g]*x"
