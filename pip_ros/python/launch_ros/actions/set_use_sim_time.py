"""The clock of all nodes."""

from __future__ import annotations

from typing import Any

from launch_ros.actions.set_parameter import SetParameter


class SetUseSimTime(SetParameter):
    """Lets the nodes that follow in the scope take the time from ``/clock``, or not."""

    def __init__(self, value: Any, **kwargs: Any) -> None:
        super().__init__("use_sim_time", value, **kwargs)
