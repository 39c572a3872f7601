"""What a notebook shows of plans, reports and fits: plain, small, escaped, without scripts."""

from __future__ import annotations

import html

import dagmodels as dm

TEXT = """model walk
plate t ordered
level[t first] ~ Flat()
level[t] ~ Normal(level[t-1], s_level)
observed y[t] ~ Normal(level, s)
parameter s_level, s > 0
"""
DATA = {"t": range(1, 8), "y": [1.0, 2.0, 1.5, 3.0, 2.5, 5.0, 4.0]}


def test_a_plan_is_short_and_shows_its_text():
    plan = dm.read(TEXT).plan(DATA)
    assert repr(plan) == "<Plan for walk: laplace; print it for the reasons>"
    assert plan._repr_html_() == f"<pre>{html.escape(str(plan))}</pre>"
    nobody = dm.read(TEXT).plan(DATA, method="nobody")
    assert repr(nobody) == "<Plan for walk: no backend; print it for the reasons>"


def test_a_report_is_a_list():
    report = dm.read(TEXT).check(DATA)
    page = report._repr_html_()
    assert page.count("<li>") == len(report) > 2
    assert html.escape(report.sentences[0]) in page
    assert page.startswith("<ul>")
    assert page.endswith("</ul>")


def test_a_fit_is_a_table_and_its_summary_prints():
    fit = dm.read(TEXT).fit(DATA)
    page = fit._repr_html_()
    assert page.count("<tr>") == 3
    assert "script" not in page
    assert len(page) < 3000
    assert repr(fit.summary()) == str(fit.summary()) == str(fit)
    assert type(str(fit)) is str
