"""Every function a tree may call, with its derivatives as trees.

Public functions are the language's; internal ones occur only in log densities and in derivatives.
Most act element by element and state partial derivatives; those on vectors and matrices state the
tangent instead: the derivative of their value along given directions of their arguments.
`tree` is the namespace `f` that turns a formula of `distributions` into an expression tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NoReturn

from dagmodels.errors import ModelError
from dagmodels.graph.expression import Binary, Call, Expression, Number, Operand, as_expression, equal

X = Expression
Partial = Callable[[X], X] | Callable[[X, X], X] | Callable[[X, X, X], X] | Callable[[X, X, X, X, X], X]
Tangent = Callable[[tuple[Expression, ...], tuple[Expression, ...]], Expression]


@dataclass(frozen=True, slots=True)
class Function:
    """A function that trees may call.

    name : as written, and the name of its numeric twin in `distributions._numeric`.
    arity : how many arguments it takes.
    public : whether users may write it.
    derivative : one formula an argument, `(*arguments) -> tree`: the partial derivative there; None
        for an argument in which the function is constant wherever it is differentiable.
    tangent : for what is not element by element, `(arguments, directions) -> tree`; it takes the
        place of `derivative`.
    event : shape of the value, 0 scalar, 1 vector, 2 matrix, for functions that change it; else None.
    """

    name: str
    arity: int
    public: bool = False
    derivative: tuple[Partial | None, ...] = ()
    tangent: Tangent | None = None
    event: int | None = None


class TreeNamespace:
    """Functions that build calls: the namespace `f` for symbolic use of a formula."""

    def __getattr__(self, name: str) -> Callable[..., Expression]:
        if name not in FUNCTIONS:
            raise AttributeError(f"no function '{name}' in dagmodels.graph.functions")

        def build(*arguments: Operand) -> Expression:
            return Call(name, tuple(as_expression(a) for a in arguments))

        return build

    def where(self, condition: Operand, yes: Operand, no: Operand) -> Expression:
        """`yes` where the condition is not zero, else `no`; `if_else` of the language."""
        return Call("if_else", (as_expression(condition), as_expression(yes), as_expression(no)))

    def equal(self, left: Operand, right: Operand) -> Expression:
        """1 where the operands are equal, else 0."""
        return equal(left, right)


ZERO = Number(0)
tree = TreeNamespace()
f = tree


def sign(x: X) -> X:
    """1, 0 or -1, by comparisons alone."""
    return Binary("-", x > 0, x < 0)


def _next_polygamma(k: X, a: X) -> X:
    return f.polygamma(k + 1, a)


def _softmax(arguments: tuple[X, ...], directions: tuple[X, ...]) -> X:
    s = f.softmax(arguments[0])
    return s * (directions[0] - f.expand(f.total(s * directions[0])))


def _if_else(arguments: tuple[X, ...], directions: tuple[X, ...]) -> X:
    return f.where(arguments[0], directions[1], directions[2])


def _max(arguments: tuple[X, ...], directions: tuple[X, ...]) -> X:
    return f.where(arguments[0] >= arguments[1], *directions)


def _min(arguments: tuple[X, ...], directions: tuple[X, ...]) -> X:
    return f.where(arguments[0] <= arguments[1], *directions)


def _linear(name: str) -> Tangent:
    """A function linear in its first argument, further ones fixed."""
    return lambda arguments, directions: Call(name, (directions[0], *arguments[1:]))


def _plus(*terms: X | None) -> X:
    """The sum of the terms that are there; there is at least one."""
    present = [t for t in terms if t is not None]
    return sum(present[1:], start=present[0])


def _if_changed(direction: X, term: Callable[[X], X]) -> X | None:
    """The term, unless the argument does not change: a zero has no shape that matrices could meet."""
    return None if direction == ZERO else term(direction)


def _bilinear(name: str) -> Tangent:
    return lambda a, d: _plus(
        _if_changed(d[0], lambda change: Call(name, (change, a[1]))),
        _if_changed(d[1], lambda change: Call(name, (a[0], change))),
    )


def _inverse(arguments: tuple[X, ...], directions: tuple[X, ...]) -> X:
    inverse = f.inverse(arguments[0])
    return -f.matmul(f.matmul(inverse, directions[0]), inverse)


def _solve(arguments: tuple[X, ...], directions: tuple[X, ...]) -> X:
    a, b = arguments
    return _plus(
        _if_changed(directions[1], lambda db: f.solve(a, db)),
        _if_changed(directions[0], lambda da: -f.solve(a, f.matvec(da, f.solve(a, b)))),
    )


def _logdet(arguments: tuple[X, ...], directions: tuple[X, ...]) -> X:
    return f.trace_solve(arguments[0], directions[0])


def _trace_solve(arguments: tuple[X, ...], directions: tuple[X, ...]) -> X:
    a, b = arguments
    return _plus(
        _if_changed(directions[1], lambda db: f.trace_solve(a, db)),
        _if_changed(directions[0], lambda da: -f.trace_solve(a, f.matmul(da, f.matmul(f.inverse(a), b)))),
    )


def _cholesky(arguments: tuple[X, ...], directions: tuple[X, ...]) -> X:
    # dL = L Phi(L^-1 dA L^-T), Phi halving the diagonal of the lower triangle (Murray 2016, eq. 6)
    lower = f.cholesky(arguments[0])
    root = f.inverse(lower)
    middle = f.matmul(f.matmul(root, directions[0]), f.transpose(root))
    return f.matmul(lower, f.half_lower(middle))


def _refuse(name: str) -> NoReturn:
    """Incomplete gamma and beta functions carry two orders in their shapes."""
    raise ModelError(
        f"third derivatives of '{name}' in its shape parameters are not available",
        hint="use a fixed shape parameter, or a method without third derivatives",
    )


def _next(name: str, position: int) -> Partial:
    """The shape-derivative function with the order at `position` raised by one."""

    def raised(*arguments: X) -> X:
        orders = 2 if name.startswith("log_betainc") else 1
        done = [a.value for a in arguments[:orders] if isinstance(a, Number)]
        if sum(done) >= 2:
            _refuse(name)
        changed = list(arguments)
        changed[position] = Number(done[position] + 1)
        return Call(name, tuple(changed))

    return raised


def _gamma_density(a: X, x: X, log_tail: X) -> X:
    return f.exp((a - 1) * f.log(x) - x - f.lgamma(a) - log_tail)


def _beta_density(a: X, b: X, x: X, log_tail: X) -> X:
    return f.exp((a - 1) * f.log(x) + (b - 1) * f.log1p(-x) - f.lbeta(a, b) - log_tail)


def _gammainc_shape_in_x(upper: bool) -> Partial:
    name = "log_gammaincc" if upper else "log_gammainc"

    def derivative(k: X, a: X, x: X) -> X:
        if k != Number(1):
            _refuse(name)
        density = _gamma_density(a, x, Call(name, (a, x)))
        change = density * (f.log(x) - f.digamma(a) - Call(name + "_shape", (Number(1), a, x)))
        return -change if upper else change

    return derivative


def _betainc_shape_in_x(i: X, j: X, a: X, b: X, x: X) -> X:
    if (i, j) not in ((Number(1), Number(0)), (Number(0), Number(1))):
        _refuse("log_betainc")
    density = _beta_density(a, b, x, f.log_betainc(a, b, x))
    own, log_term = (a, f.log(x)) if i == Number(1) else (b, f.log1p(-x))
    score = log_term - f.digamma(own) + f.digamma(a + b)
    return density * (score - f.log_betainc_shape(i, j, a, b, x))


def _confluent_shape_in_z(k: X, b: X, z: X) -> X:
    if k != Number(1):
        _refuse("log_0f1")
    slope = f.exp(f.log_0f1(b + 1, z) - f.log_0f1(b, z)) / b
    return slope * (f.log_0f1_shape(1, b + 1, z) - f.log_0f1_shape(1, b, z) - 1 / b)


def _next_cumulant(*arguments: X) -> X:
    order = arguments[0]
    if not isinstance(order, Number) or order.value >= 4:
        raise ModelError(
            "fifth derivatives of a hypergeometric law are not available", hint="use a method of lower order"
        )
    return Call("fisher_cumulant", (Number(order.value + 1), *arguments[1:]))


_SQRT_2PI = math.sqrt(2 * math.pi)

_PUBLIC = (
    Function("exp", 1, derivative=(lambda x: f.exp(x),)),
    Function("log", 1, derivative=(lambda x: 1 / x,)),
    Function("sqrt", 1, derivative=(lambda x: 0.5 / f.sqrt(x),)),
    Function("logit", 1, derivative=(lambda p: 1 / (p * (1 - p)),)),
    Function("expit", 1, derivative=(lambda x: f.expit(x) * f.expit(-x),)),
    Function("probit", 1, derivative=(lambda p: _SQRT_2PI * f.exp(0.5 * f.probit(p) ** 2),)),
    Function("Phi", 1, derivative=(lambda x: f.exp(-0.5 * x**2) / _SQRT_2PI,)),
    Function("cloglog", 1, derivative=(lambda p: -1 / ((1 - p) * f.log1p(-p)),)),
    Function("icloglog", 1, derivative=(lambda x: f.exp(x - f.exp(x)),)),
    Function("sin", 1, derivative=(lambda x: f.cos(x),)),
    Function("cos", 1, derivative=(lambda x: -f.sin(x),)),
    Function("arctan", 1, derivative=(lambda x: 1 / (1 + x**2),)),
    Function("tanh", 1, derivative=(lambda x: 4 * f.expit(2 * x) * f.expit(-2 * x),)),
    Function("lgamma", 1, derivative=(lambda x: f.digamma(x),)),
    Function("floor", 1, derivative=(None,)),
    Function("abs", 1, derivative=(sign,)),
    Function("min", 2, tangent=_min),
    Function("max", 2, tangent=_max),
    Function("if_else", 3, tangent=_if_else),
    Function("softmax", 1, tangent=_softmax, event=1),
    Function("inverse", 1, tangent=_inverse, event=2),
)

_INTERNAL = (
    Function("log1p", 1, derivative=(lambda x: 1 / (1 + x),)),
    Function("expm1", 1, derivative=(lambda x: f.exp(x),)),
    Function("softplus", 1, derivative=(lambda x: f.expit(x),)),
    Function("log_Phi", 1, derivative=(lambda x: f.mills(x),)),
    # mills(x) = phi(x)/Phi(x), the derivative of log Phi
    Function("mills", 1, derivative=(lambda x: -f.mills(x) * (x + f.mills(x)),)),
    Function("digamma", 1, derivative=(lambda x: f.trigamma(x),)),
    Function("trigamma", 1, derivative=(lambda x: f.polygamma(2, x),)),
    Function("polygamma", 2, derivative=(None, _next_polygamma)),
    Function(
        "lbeta",
        2,
        derivative=(
            lambda a, b: f.digamma(a) - f.digamma(a + b),
            lambda a, b: f.digamma(b) - f.digamma(a + b),
        ),
    ),
    # log of the modified Bessel function I0(x) exp(-x), x >= 0, and the ratio of orders 1 and 0
    Function("log_i0e", 1, derivative=(lambda x: f.i1_over_i0(x) - 1,)),
    Function(
        "i1_over_i0",
        1,
        derivative=(lambda x: f.where(equal(x, 0), 0.5, 1 - f.i1_over_i0(x) / x - f.i1_over_i0(x) ** 2),),
    ),
    Function(
        "log_gammainc",
        2,
        derivative=(
            lambda a, x: f.log_gammainc_shape(1, a, x),
            lambda a, x: _gamma_density(a, x, f.log_gammainc(a, x)),
        ),
    ),
    Function(
        "log_gammaincc",
        2,
        derivative=(
            lambda a, x: f.log_gammaincc_shape(1, a, x),
            lambda a, x: -_gamma_density(a, x, f.log_gammaincc(a, x)),
        ),
    ),
    Function(
        "log_betainc",
        3,
        derivative=(
            lambda a, b, x: f.log_betainc_shape(1, 0, a, b, x),
            lambda a, b, x: f.log_betainc_shape(0, 1, a, b, x),
            lambda a, b, x: _beta_density(a, b, x, f.log_betainc(a, b, x)),
        ),
    ),
    # log 0F1(; b; z); its slope in z is a ratio of neighbouring b
    Function(
        "log_0f1",
        2,
        derivative=(
            lambda b, z: f.log_0f1_shape(1, b, z),
            lambda b, z: f.exp(f.log_0f1(b + 1, z) - f.log_0f1(b, z)) / b,
        ),
    ),
    Function("log_0f1_shape", 3, derivative=(None, _next("log_0f1_shape", 0), _confluent_shape_in_z)),
    # derivatives in the log odds of a hypergeometric law's normalising sum, of given order; counts are whole
    Function("fisher_cumulant", 5, derivative=(None, None, None, None, _next_cumulant)),
    # derivatives of given order in the shapes; the orders come first and are numbers
    Function(
        "log_gammainc_shape",
        3,
        derivative=(None, _next("log_gammainc_shape", 0), _gammainc_shape_in_x(False)),
    ),
    Function(
        "log_gammaincc_shape",
        3,
        derivative=(None, _next("log_gammaincc_shape", 0), _gammainc_shape_in_x(True)),
    ),
    Function(
        "log_betainc_shape",
        5,
        derivative=(
            None,
            None,
            _next("log_betainc_shape", 0),
            _next("log_betainc_shape", 1),
            _betainc_shape_in_x,
        ),
    ),
)

_ARRAYS = (
    Function("size", 1, derivative=(None,), event=0),  # length of the last axis
    Function("total", 1, tangent=_linear("total"), event=0),  # sum over the last axis
    Function("element", 2, tangent=_linear("element"), event=0),  # of a vector, counted from 0
    Function("expand", 1, tangent=_linear("expand"), event=1),  # a scalar made to meet a vector
    Function("increasing", 1, derivative=(None,), event=0),  # 1 where a vector strictly increases
    Function("outer", 2, tangent=_bilinear("outer"), event=2),
    Function("matvec", 2, tangent=_bilinear("matvec"), event=1),
    Function("matmul", 2, tangent=_bilinear("matmul"), event=2),
    Function("transpose", 1, tangent=_linear("transpose"), event=2),
    Function("diagonal", 1, tangent=_linear("diagonal"), event=1),
    Function("half_lower", 1, tangent=_linear("half_lower"), event=2),  # lower triangle, diagonal halved
    Function("identity_minus", 1, tangent=lambda a, d: -d[0], event=2),  # I - B
    Function("posdef", 1, derivative=(None,), event=0),  # 1 where symmetric positive definite
    Function("cholesky", 1, tangent=_cholesky, event=2),
    Function("solve", 2, tangent=_solve, event=1),  # A^-1 b for a vector b
    Function("trace_solve", 2, tangent=_trace_solve, event=0),  # tr(A^-1 B)
    Function("logdet", 1, tangent=_logdet, event=0),  # log |det A|
    # multivariate log gamma of order d and the sums of polygammas that are its derivatives
    Function("mvlgamma", 2, derivative=(lambda a, d: f.mvpolygamma(0, a, d), None)),
    Function("mvpolygamma", 3, derivative=(None, lambda k, a, d: f.mvpolygamma(k + 1, a, d), None)),
)


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {g.name: g for g in (*(replace(p, public=True) for p in _PUBLIC), *_INTERNAL, *_ARRAYS)}
)
"""All functions by name; `public` ones may be written in a model."""
