"""Hypothesis on machines that are busy with other things: no test fails for being slow."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# The bodies that lie above are shared with the tests of other rooms.
sys.path.insert(0, str(Path(__file__).parents[1]))

settings.register_profile("no_deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no_deadline")
