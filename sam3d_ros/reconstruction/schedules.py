"""How many steps the samplers of the networks take."""

from __future__ import annotations

from sam3d_ros.models.objects.sampling import Schedule
from sam3d_ros.reconstruction.network_config import SHORTCUT_STEPS, NetworkConfig


def geometry_schedule(config: NetworkConfig) -> Schedule:
    """Of stage 1: up to four steps are distilled shortcuts, more are guided as in the official pipeline."""
    if config.steps <= SHORTCUT_STEPS:
        return Schedule.geometry_shortcut(config.steps)
    return Schedule.geometry(config.steps)


def refinement_schedule(config: NetworkConfig) -> Schedule:
    """Of stage 2, which has no shortcuts."""
    return Schedule.refinement(config.refinement_steps)
