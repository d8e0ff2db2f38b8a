"""Hypothesis on machines that are busy with other things: no test fails for being slow."""

from hypothesis import HealthCheck, settings

settings.register_profile("no_deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no_deadline")
