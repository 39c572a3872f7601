"""Student t, Cauchy, Laplace and logistic laws: normal ones given a precision of each row.

With z = (x - mu)/sigma the law is a mixture of Normal(mu, sigma/sqrt(omega)), and given z

- StudentT(nu): omega has Gamma((nu + 1)/2, (nu + z**2)/2); Cauchy has nu = 1 (Andrews and Mallows 1974, J. R.
  Stat. Soc. B 36:99, section 3);
- Laplace: omega has the inverse Gaussian law with mean 1/|z| and shape 1 (Park and Casella 2008, J. Am. Stat.
  Assoc. 103:681, section 2);
- Logistic: omega has PG(2, z), because 1/cosh(z/2)**2 is the Laplace transform of PG(2, 0) at z**2/2 (Polson,
  Scott and Windle 2013, J. Am. Stat. Assoc. 108:1339, equation 3).

Scales and degrees of freedom are drawn with omega integrated out, from the law itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagmodels.forms.build_flat import Factor
from dagmodels.graph import expression as ex

if TYPE_CHECKING:
    from dagmodels.forms.conditionals.gaussian import Gaussian

ARGUMENTS = {  # by family the names of location and scale
    "StudentT": ("mu", "sigma"),
    "Cauchy": ("alpha", "beta"),
    "Laplace": ("mu", "b"),
    "Logistic": ("mu", "s"),
}


def mixed_normal(board: Any, factor: Factor) -> Gaussian | None:
    """A factor of such a family as Gaussian given the precisions of its rows."""
    from dagmodels.forms.conditionals.gaussian import Auxiliary, Gaussian, precision_of

    r, law, node = board.recorder, factor.site.law, factor.site.names[0]
    if factor.times > 1:
        return None

    def number(name: str, default: float) -> int:
        tree = law.argument(name)
        if tree is None:
            return r.constant(default)
        assert isinstance(tree, ex.Expression)
        return board.builder.trees.number(tree, factor.site.rows).value.register

    location, scale = ARGUMENTS[law.family]
    sigma = number(scale, 1.0)
    residual = r.apply("-", board.builder.value(factor.site).value.register, number(location, 0.0))
    z = r.apply("/", residual, sigma)
    omega, slots = board.auxiliary(f"omega of {node}", factor.site.rows.n)
    match law.family:
        case "Laplace":
            draw, given = "inverse gaussian", (z,)
        case "Logistic":
            draw, given = "polya-gamma", (z, r.constant(2.0))
        case _:
            nu, half = number("nu", 1.0), r.constant(0.5)
            shape = r.apply("*", half, r.apply("+", nu, r.constant(1.0)))
            draw, given = "gamma", (shape, r.apply("*", half, r.apply("+", nu, r.apply("*", z, z))))
    told = f"precisions of the rows of '{node}'"
    auxiliary = Auxiliary(node, slots, draw, given, told, factor.register)
    weight = r.apply("*", omega, precision_of(board, sigma))
    return Gaussian(residual, weight, auxiliary=auxiliary)


__all__ = ["ARGUMENTS", "mixed_normal"]
