"""Tests. Examples are judged by what they find, not by the clock: a busy machine must not fail them."""

from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
