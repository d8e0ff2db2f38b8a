"""What is done when a process has started."""

from __future__ import annotations

from typing import Any

from launch.event_handlers.on_action_event_base import ActionMatcher, OnActionEventBase, OnEvent
from launch.events.process import ProcessStarted


class OnProcessStart(OnActionEventBase):
    """Does something when a process has started.

    Args:
        target_action: the process, a predicate on actions, or None for every process.
        on_start: entities to visit, or a function of event and context that returns them.
    """

    def __init__(
        self,
        *,
        target_action: ActionMatcher | None = None,
        on_start: OnEvent,
        **keywords: Any,
    ) -> None:
        from launch.actions.execute_process import ExecuteProcess

        super().__init__(
            action_matcher=target_action,
            on_event=on_start,
            target_event_cls=ProcessStarted,
            target_action_cls=ExecuteProcess,
            **keywords,
        )
