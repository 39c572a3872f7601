"""Random linear-Gaussian models with data and outer values, one seed one case.

The texts are small (at most 60 observed cells), unbalanced, with groups of one, priors on some
coefficients, `Flat()` on some and `parameter` on others.  The data are arbitrary numbers: an oracle
and an engine must agree on all data, not only on likely ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .chains import lags
from .draft import Case, Draft
from .vectors import vector, vector_plate, vector_residual, vector_tuple


def nested3(d: Draft) -> None:
    """Rows in classes in schools in regions; effects added up, or each level's mean on the next."""
    region_of_school = d.within(int(d.rng.integers(4, 6)), 1, 3, 10)
    school_of_class = d.within(len(region_of_school), 1, 2, 16)
    of_class = d.within(len(school_of_class), 1, 4, 50)
    of_school = school_of_class[of_class]
    of_region = region_of_school[of_school]
    d.plate("region")
    d.plate("school in region")
    d.plate("class in school")
    d.plate("row in class")
    for name, owner in (("region", of_region), ("school", of_school), ("class", of_class)):
        d.labels(name, owner, name[0])
    d.covariate("x", "row", np.arange(len(of_class)))
    d.covariate("z", "region", of_region)
    b0, b1, b2 = d.coefficient("b0"), d.coefficient("b1"), d.coefficient("b2")
    s1, s2, s3, s = d.scale("s1"), d.scale("s2"), d.scale("s3"), d.scale("s")
    if d.chance():
        d.say(f"u[region] ~ Normal(0, {s1})", f"v[school] ~ Normal(0, {s2})", f"w[class] ~ Normal(0, {s3})")
        mean = f"{b0} + {b1}*x + {b2}*z + u[region] + v[school] + w[class]"
    else:
        d.say(
            f"u[region] ~ Normal({b0} + {b2}*z, {s1})",
            f"v[school] ~ Normal(u, {s2})",
            f"w[class] ~ Normal(v, {s3})",
        )
        mean = f"w + {b1}*x"
    if d.chance():
        d.say(f"slope[school] ~ Normal(0, {d.scale('s4')})")
        mean += " + slope[school]*x"
    if d.chance():
        d.say(f"eta[row] = {mean}")
        mean = "eta"
    d.say(f"observed y[row] ~ Normal({mean}, {s})")
    d.observe("y", np.arange(len(of_class)))


def crossed2(d: Draft) -> None:
    """Ratings of items by students, unbalanced, some pairs twice; slopes and interactions at times."""
    students, items = int(d.rng.integers(5, 9)), int(d.rng.integers(4, 7))
    pairs = np.argwhere(d.rng.random((students, items)) < 0.6)
    needed = [[s, s % items] for s in range(students)] + [[i % students, i] for i in range(items)]
    pairs = np.unique(np.concatenate([pairs, np.array(needed)]), axis=0)
    again = pairs[d.rng.random(len(pairs)) < 0.2]
    student, item = np.concatenate([pairs, again])[:58].T
    d.plate("student")
    d.plate("item")
    d.plate("rating in student, item")
    d.labels("student", student, "s")
    d.labels("item", item, "i")
    d.covariate("x", "rating", np.arange(len(student)))
    d.covariate("z", "item", item)
    b0, b1, b2 = d.coefficient("b0"), d.coefficient("b1"), d.coefficient("b2")
    mean = f"{b0} + u[student] + v[item]"
    d.say(f"u[student] ~ Normal(0, {d.scale('s_u')})", f"v[item] ~ Normal({b2}*z, {d.scale('s_v')})")
    if d.chance():
        d.say(f"slope[student] ~ Normal({b1}, {d.scale('s_slope')})")
        mean += " + slope[student]*x"
    else:
        mean += f" + {b1}*x"
    if d.chance(0.3):
        d.say(f"slope2[item] ~ Normal(0, {d.scale('s_slope2')})")
        mean += " + slope2[item]*x"
    if d.chance(0.4):
        d.say(f"w[student, item] ~ Normal(0, {d.scale('s_w')})")
        mean += " + w[student, item]"
    d.say(f"observed y[rating] ~ Normal({mean}, {d.scale('s')})")
    d.observe("y", np.arange(len(student)))


def latents_of_latents(d: Draft) -> None:
    """A latent regressed on a latent that is regressed on a latent, each measured or not."""
    of_unit = d.within(int(d.rng.integers(7, 12)), 1, 3, 24)
    rows = np.arange(len(of_unit))
    d.plate("unit")
    d.plate("row in unit")
    d.labels("unit", of_unit, "n")
    d.covariate("z", "unit", of_unit)
    a0, a1, c0 = d.coefficient("a0"), d.coefficient("a1"), d.coefficient("c0")
    l1, l2 = d.loading("l1"), d.loading("l2")
    d.say(f"p[unit] ~ Normal({a0} + {a1}*z, {d.scale('s_p')})")
    d.say(f"q[unit] ~ Normal({c0} + {l1}*p, {d.scale('s_q')})")
    direct = f" + {d.loading('l3')}*p" if d.chance() else ""
    d.say(f"r[unit] ~ Normal({l2}*q{direct} + {d.coefficient('c1')}*z, {d.scale('s_r')})")
    d.say(f"observed y[row] ~ Normal(r, {d.scale('e_r')})")
    d.say(f"observed x[row] ~ Normal(p, {d.scale('e_p')})")
    d.observe("y", rows)
    d.observe("x", rows)
    if d.chance():
        d.say(f"observed v[unit] ~ Normal({d.coefficient('n_v', 'random')} + q - 0.5*p, {d.scale('e_q')})")
        d.observe("v", of_unit)


def two_outcomes(d: Draft) -> None:
    """A latent that feeds two outcomes, replicated or not, one with a loading in theta."""
    of_person = d.within(int(d.rng.integers(8, 13)), 1, 3, 24)
    rows = np.arange(len(of_person))
    d.plate("person")
    d.plate("row in person")
    d.labels("person", of_person, "p")
    d.covariate("z", "person", of_person)
    d.covariate("x", "row", rows)
    lam = d.loading("lam")
    d.say(f"eta[person] ~ Normal({d.coefficient('g0')} + {d.coefficient('g1')}*z, {d.scale('s_eta')})")
    e1, e2 = d.deviation("e1", 0.7), d.deviation("e2", 0.7)
    d.say(f"observed y1[row] ~ Normal(eta + {d.coefficient('b1')}*x, {e1})")
    d.observe("y1", rows, missing=d.pick(0.0, 0.1))
    n2 = d.coefficient("n2")
    if d.chance():
        d.say(f"observed y2[row] ~ Normal({n2} + {lam}*eta, {e2})")
        d.observe("y2", rows, missing=d.pick(0.0, 0.1))
        if d.chance():
            d.outer("c12", round(float(d.rng.uniform(-0.4, 0.4)), 3), "parameter c12")
            d.say("y1 ~~ y2 = c12")
    else:
        d.say(f"observed y2[person] ~ Normal({n2} + {lam}*eta + {d.coefficient('b2', 'random')}*z, {e2})")
        d.observe("y2", of_person, missing=d.pick(0.0, 0.1))


def missing(d: Draft) -> None:
    """Missing cells in a mediator that has children, and in the outcome."""
    of_group = d.within(int(d.rng.integers(5, 8)), 1, 5, 24)
    rows = np.arange(len(of_group))
    d.plate("g")
    d.plate("row in g")
    d.labels("g", of_group, "g")
    d.covariate("x", "row", rows)
    d.say(f"u[g] ~ Normal(0, {d.scale('s_u')})")
    d.say(
        f"observed m[row] ~ Normal({d.coefficient('i_m')} + {d.coefficient('a')}*x + u[g], {d.scale('s_m')})"
    )
    d.observe("m", rows, missing=0.25)
    mean = f"{d.coefficient('i_y')} + {d.loading('b')}*m + {d.coefficient('c')}*x"
    if d.chance():
        d.say(f"observed k[row] ~ Normal({d.loading('f')}*m, {d.scale('s_k')})")
        d.observe("k", rows, missing=0.3)
        mean += f" + {d.loading('h')}*k"
    if d.chance():
        mean += f" + {d.loading('lam')}*u[g]"
    d.say(f"observed y[row] ~ Normal({mean}, {d.scale('s_y')})")
    d.observe("y", rows, missing=d.pick(0.0, 0.25))


def known_variances(d: Draft) -> None:
    """Scales known row by row, alone, multiplied by an unknown one or added in quadrature."""
    of_group = d.within(int(d.rng.integers(5, 9)), 1, 5, 35)
    rows = np.arange(len(of_group))
    d.plate("g")
    d.plate("row in g")
    d.labels("g", of_group, "g")
    d.covariate("x", "row", rows)
    d.say("covariate se[row]")
    d.data["se"] = np.round(np.exp(d.rng.normal(0, 0.6, len(rows))), 3)
    mean = f"{d.coefficient('b0')} + {d.coefficient('b1')}*x + u[g]"
    d.say(f"u[g] ~ Normal(0, {d.scale('s_u')})")
    if d.chance():
        d.say(f"theta[row] ~ Normal({mean}, {d.scale('s_t')})")
        mean = "theta"
    scale = d.pick("se", "sigma*se", "tau=1/se**2", "sqrt(se**2 + sigma**2)")
    if "sigma" in scale:
        d.deviation("sigma")
    d.say(f"observed y[row] ~ Normal({mean}, {scale})")
    d.observe("y", rows)


def mixed(d: Draft) -> None:
    """A random combination of the other kinds' pieces."""
    of_group = d.within(int(d.rng.integers(6, 9)), 1, 5, 26)
    rows = np.arange(len(of_group))
    d.plate("g")
    d.plate("row in g" + (", item" if (crossed := d.chance()) else ""))
    d.labels("g", of_group, "g")
    d.covariate("x", "row", rows)
    d.covariate("z", "g", of_group)
    mean = d.pick(vector_plate, vector_tuple, vector_residual, _scalar_groups)(d)
    if crossed:
        d.plates.insert(0, "plate item")
        item = d.rng.permutation(np.arange(len(rows)) % 4)
        d.labels("item", item, "i")
        d.say(f"v[item] ~ Normal(0, {d.scale('s_v')})")
        mean += " + v[item]"
    if d.chance():
        d.say(f"top[g] ~ Normal({d.coefficient('t0', 'random')}*z, {d.scale('s_top')})")
        d.say(f"under[g] ~ Normal({d.loading('l_top')}*top, {d.scale('s_under')})")
        mean += " + under[g]"
    scale = d.scale("s")
    if d.chance(0.3):
        d.say("covariate se[row]")
        d.data["se"] = np.round(np.exp(d.rng.normal(0, 0.5, len(rows))), 3)
        scale = "se"
    gaps = d.pick(0.0, 0.15)
    d.say(f"observed y[row] ~ Normal({mean}, {scale})")
    d.observe("y", rows, gaps)
    if d.chance(0.6):
        path = d.loading("b_y") if gaps else d.coefficient("b_y")
        mean = f"{d.coefficient('i_w')} + {path}*y + {d.coefficient('c_w')}*x"
        d.say(f"observed w[row] ~ Normal({mean}, {d.scale('s_w')})")
        d.observe("w", rows, d.pick(0.0, 0.15))


def _scalar_groups(d: Draft) -> str:
    d.say(f"a[g] ~ Normal({d.coefficient('m_a')} + {d.coefficient('m_z')}*z, {d.scale('s_a')})")
    return f"a[g] + {d.coefficient('b_x')}*x"


def aliased(d: Draft) -> None:
    """Teams that meet: each match touches two elements of one plate."""
    teams, n = int(d.rng.integers(4, 8)), int(d.rng.integers(12, 30))
    home = np.concatenate([np.arange(teams), d.rng.integers(teams, size=n - teams)])
    away = (home + d.rng.integers(1, teams, size=n)) % teams
    names = d.rng.permutation([f"n{i}" for i in range(teams)])
    d.plate("team")
    d.plate("home as team")
    d.plate("away as team")
    d.plate("match in home, away")
    d.data["home"], d.data["away"] = names[home], names[away]
    d.covariate("x", "match", np.arange(n))
    d.say(f"skill[team] ~ Normal(0, {d.scale('s_skill')})")
    mean = f"{d.coefficient('b0')} + {d.coefficient('b1')}*x + skill[home] - skill[away]"
    if d.chance():
        d.say(f"pair[home, away] ~ Normal(0, {d.scale('s_pair')})")
        mean += " + pair[home, away]"
    d.say(f"observed y[match] ~ Normal({mean}, {d.scale('s')})")
    d.observe("y", np.arange(n), missing=d.pick(0.0, 0.1))


def sums(d: Draft) -> None:
    """Sums and means of latents over the elements that belong to a group."""
    of_group = d.within(int(d.rng.integers(6, 10)), 1, 5, 26)
    rows = np.arange(len(of_group))
    d.plate("g")
    d.plate("row in g")
    d.labels("g", of_group, "g")
    d.covariate("x", "row", rows)
    d.say(f"h[row] ~ Normal({d.coefficient('b0')} + {d.coefficient('b1')}*x, {d.scale('s_h')})")
    d.say(f"observed y[row] ~ Normal(h, {d.scale('s_y')})")
    d.observe("y", rows)
    pooled = d.pick("sum(h*x for row)", "mean(h for row)", "0.2*sum(h for row)")
    d.say(f"top[g] = {pooled}")
    d.say(f"observed v[g] ~ Normal({d.coefficient('c0')} + {d.loading('l')}*top, {d.scale('s_v')})")
    d.observe("v", of_group, missing=d.pick(0.0, 0.2))


KINDS: dict[str, Callable[[Draft], None]] = {
    "nested3": nested3,
    "crossed2": crossed2,
    "vector": vector,
    "latents_of_latents": latents_of_latents,
    "lags": lags,
    "two_outcomes": two_outcomes,
    "missing": missing,
    "known_variances": known_variances,
    "mixed": mixed,
}


# patterns beyond those that every engine must know
EXTRA: dict[str, Callable[[Draft], None]] = {"aliased": aliased, "sums": sums}


def linear_gaussian_case(seed: int, kind: str) -> Case:
    """The case of this seed and kind (a key of KINDS or EXTRA)."""
    makers = {**KINDS, **EXTRA}
    draft = Draft(np.random.default_rng([seed, list(makers).index(kind)]))
    makers[kind](draft)
    return draft.finish(kind, seed)


def cases(per_kind: int, first: int = 0) -> Iterator[Case]:
    """`per_kind` cases of every kind."""
    for kind in KINDS:
        for seed in range(first, first + per_kind):
            yield linear_gaussian_case(seed, kind)
