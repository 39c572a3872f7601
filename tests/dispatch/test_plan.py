"""Plans: who is asked, who is chosen, and what the user is told."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from dagmodels.analysis.facts import facts
from dagmodels.dispatch import plan as plans
from dagmodels.dispatch.plan import make_plan
from dagmodels.errors import PluginWarning
from dagmodels.plugin import Rewrite, Role, Verdict
from dagmodels.readers import read

ML = "model ml\nplate r\nparameter m\nparameter s > 0\nobserved y[r] ~ Normal(m, s)\n"
BAYES = "model bayes\nplate r\nm ~ Normal(0, 1)\nobserved y[r] ~ Normal(m, 1)\n"
MIXTURE = (
    "model mix\nplate r\nplate k = 1..2\nparameter m[k]\n"
    "z[r] in k ~ Categorical([0.5, 0.5])\nobserved y[r] ~ Normal(m[z], 1)\n"
)


class Fake:
    """A backend whose verdict is given."""

    def __init__(self, name, **verdict):
        self.name = name
        self.verdict = verdict

    def judge(self, facts):
        return Verdict(self.name, **self.verdict)

    def fit(self, problem, plan, options):
        raise AssertionError


@pytest.fixture
def installed(monkeypatch):
    """`installed(Fake(...), ...)`: these are all the backends there are."""

    def put(*fakes):
        table = MappingProxyType({f.name: f for f in sorted(fakes, key=lambda f: f.name)})
        monkeypatch.setattr(plans, "backends", lambda: table)

    return put


def yes(name, **more):
    return Fake(name, accepts=True, **more)


def no(name, *because):
    return Fake(name, accepts=False, because=because)


def planned(text, **options):
    return make_plan(facts(read(text)), **options)


def test_the_preferred_backend_wins_over_one_that_is_exact_and_cheap(installed):
    installed(yes("laplace", cost=1.0), yes("other", exact=True, cost=0.0))
    assert planned(ML).backend == "laplace"


def test_draws_come_first_where_all_priors_are_proper(installed):
    installed(yes("laplace"), yes("gibbs"))
    assert planned(BAYES).backend == "gibbs"
    assert planned(BAYES).notes == ()
    assert planned(ML).backend == "laplace"


def test_without_gibbs_laplace_answers_and_says_that_it_is_a_mode(installed):
    installed(yes("laplace"))
    plan = planned(BAYES)
    assert plan.backend == "laplace"
    assert any("marginal mode, not a posterior" in note for note in plan.notes)
    assert "'gibbs' is not installed" in plan.reason
    assert "marginal mode, not a posterior" in str(plan)


def test_a_preferred_backend_that_refuses_is_passed_over(installed):
    installed(no("gibbs", "'y' is too big"), yes("laplace"))
    plan = planned(BAYES)
    assert plan.backend == "laplace"
    assert "'gibbs' refuses" in plan.reason
    assert "'gibbs' cannot: 'y' is too big" in str(plan)


@pytest.mark.parametrize(
    ("fakes", "chosen"),
    [
        ((yes("b", exact=True, cost=9.0), yes("a", exact=False, cost=0.1)), "b"),
        ((yes("a", cost=9.0), yes("b", cost=0.1)), "b"),
        ((yes("a"), yes("b", cost=100.0)), "b"),
        ((yes("b"), yes("a")), "a"),
    ],
)
def test_others_are_chosen_by_exactness_cost_and_name(installed, fakes, chosen):
    installed(no("laplace", "no"), *fakes)
    assert planned(ML).backend == chosen
    assert "'laplace' refuses" in planned(ML).reason


def test_the_users_method_wins(installed):
    installed(yes("laplace"), yes("other"))
    plan = planned(ML, method="other", options={"steps": 3})
    assert plan.backend == "other"
    assert plan.options == {"steps": 3}
    assert "as asked" in str(plan)
    assert "steps=3" in str(plan)


def test_the_users_method_is_refused_with_the_backends_reason(installed):
    installed(yes("laplace"), no("other", "'y' is Normal and it takes Poisson"))
    plan = planned(ML, method="other")
    assert plan.backend is None
    assert plan.verdict is None
    assert "refuses: 'y' is Normal and it takes Poisson" in plan.reason
    assert "'laplace' could fit it" in str(plan)


def test_an_unknown_method_lists_what_is_installed(installed):
    installed(yes("laplace"), yes("other"))
    plan = planned(ML, method="laplas")
    assert plan.backend is None
    assert "installed: laplace, other" in plan.reason
    assert "did you mean 'laplace'?" in plan.reason


def test_when_nobody_accepts_the_plan_says_what_is_needed(installed):
    installed(no("laplace", "'z' is discrete"))
    plan = planned(MIXTURE)
    assert plan.backend is None
    assert "a backend 'em' would be the one for it" in plan.reason
    assert "'laplace' cannot: 'z' is discrete" in str(plan)
    installed()
    assert planned(ML).reason == "no backend is installed"


def test_a_judge_that_fails_warns_and_counts_as_refusal(installed):
    class Failing(Fake):
        def judge(self, facts):
            raise ZeroDivisionError("a fault")

    installed(Failing("bad"), yes("laplace"))
    with pytest.warns(PluginWarning, match="'bad': its judge failed with ZeroDivisionError: a fault"):
        plan = planned(ML)
    assert plan.backend == "laplace"
    assert "'bad' cannot: its judge failed" in str(plan)


def test_a_verdict_under_a_false_name_is_corrected(installed):
    class Liar(Fake):
        def judge(self, facts):
            return Verdict("laplace", accepts=True)

    installed(Liar("liar"))
    assert planned(ML).backend == "liar"


def test_findings_are_notes(installed):
    installed(yes("laplace"))
    plan = planned(ML.replace("parameter m\n", "parameter m\nb ~ Flat()\n"))
    assert any("'b' is flat and no observed node depends on it" in n for n in plan.notes)


def test_the_whole_explanation(installed):
    installed(
        yes(
            "laplace",
            exact=True,
            because=("every leaf is Gaussian",),
            method="exact maximum likelihood",
            cost=0.004,
            roles=(
                Role("m", "profiled", "a coefficient without prior"),
                Role("k", "profiled", "a coefficient without prior"),
                Role("s", "outer", "a scale"),
            ),
            rewrites=(Rewrite("compress", "leaves enter through cross-products"),),
        ),
        no("em"),
        yes("other", method="sampling", because=("it always can",), cost=300.0),
    )
    assert str(planned(ML)).split("\n") == [
        "ml: fit by 'laplace'",
        "  method: exact maximum likelihood",
        "  why: what is unknown is continuous: latents are integrated out and the rest is maximised",
        "       every leaf is Gaussian",
        "  profiled (solved for, not counted): m, k: a coefficient without prior",
        "  maximised: s: a scale",
        "  rewrite: compress, leaves enter through cross-products",
        "  cost: about 0.004 s",
        "  'em' cannot (it gives no reason)",
        "  'other' could fit it approximately by sampling in about 5 min: it always can",
    ]


def test_a_plan_without_text_prints_its_reason():
    from dagmodels.plugin import Plan

    assert str(Plan(None, "no backend is installed")) == "no backend: no backend is installed"
