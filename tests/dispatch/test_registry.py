"""Backends come through entry points; a broken one warns, names itself and is left out."""

from __future__ import annotations

import pytest

from dagmodels.dispatch import registry
from dagmodels.errors import PluginWarning

MEAN = "dagmodels_thirdparty.sample_mean:backend"


def test_a_third_partys_backend_is_found(register):
    register(sample_mean=MEAN)
    found = registry.backends()
    assert found["sample_mean"].name == "sample_mean"
    assert list(found) == sorted(found)


def test_the_search_happens_once_until_reset(register):
    register(sample_mean=MEAN)
    assert registry.backends() is registry.backends()
    first = registry.backends()
    registry.reset()
    assert registry.backends() is not first


def test_a_class_is_made_an_object(register):
    register(sample_mean="dagmodels_thirdparty.sample_mean:SampleMean")
    assert not isinstance(registry.backends()["sample_mean"], type)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("dagmodels_thirdparty.broken:backend", ["could not be loaded", "a_library_that_nobody_has"]),
        ("dagmodels_thirdparty.absent:backend", ["could not be loaded", "ModuleNotFoundError"]),
        ("dagmodels_thirdparty.sample_mean:nothing", ["could not be loaded", "AttributeError"]),
        ("dagmodels_thirdparty.lacking:backend", ["is no backend", "lacks fit"]),
        ("dagmodels_thirdparty.sample_mean:np", ["is no backend", "lacks name and judge and fit"]),
    ],
)
def test_a_broken_plugin_warns_and_is_left_out(register, entry, words):
    register(bad=entry, sample_mean=MEAN)
    with pytest.warns(PluginWarning) as caught:
        found = registry.backends()
    message = str(caught[0].message)
    assert len(caught) == 1
    assert "'bad'" in message
    assert "dagmodels-thirdparty" in message
    assert all(w in message for w in words)
    assert "sample_mean" in found
    assert "bad" not in found
    assert "lacking" not in found


def test_two_backends_of_one_name_warn(register):
    register("first-package", one=MEAN)
    register("second-package", two="dagmodels_thirdparty.sample_mean:SampleMean")
    with pytest.warns(PluginWarning, match="two backends are named 'sample_mean'"):
        found = registry.backends()
    assert sum(name == "sample_mean" for name in found) == 1


def test_a_plugin_cannot_take_the_name_of_an_own_backend(register, monkeypatch):
    class Own:
        name = "sample_mean"

        def judge(self, facts):
            raise AssertionError

        def fit(self, problem, plan, options):
            raise AssertionError

    monkeypatch.setattr("dagmodels.dispatch.registry.fake_own", Own(), raising=False)
    register("a-first-in-the-alphabet", a=MEAN)
    register("dagmodels-like", z="dagmodels.dispatch.registry:fake_own")
    with pytest.warns(PluginWarning, match="a-first-in-the-alphabet"):
        found = registry.backends()
    assert type(found["sample_mean"]) is Own


def test_the_same_distribution_seen_twice_is_one(register, recwarn):
    register("one", sample_mean=MEAN)
    register("two", sample_mean=MEAN)
    assert "sample_mean" in registry.backends()
    assert not [w for w in recwarn if "two backends" in str(w.message)]
