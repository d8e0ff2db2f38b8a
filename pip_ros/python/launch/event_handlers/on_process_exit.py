"""What is done when a process ends."""

from __future__ import annotations

from typing import Any

from launch.event_handlers.on_action_event_base import ActionMatcher, OnActionEventBase, OnEvent
from launch.events.process import ProcessExited


class OnProcessExit(OnActionEventBase):
    """Does something when a process ends.

    Args:
        target_action: the process, a predicate on actions, or None for every process.
        on_exit: entities to visit, or a function of event and context that returns them.
    """

    def __init__(
        self,
        *,
        target_action: ActionMatcher | None = None,
        on_exit: OnEvent,
        **keywords: Any,
    ) -> None:
        from launch.actions.execute_process import ExecuteProcess

        super().__init__(
            action_matcher=target_action,
            on_event=on_exit,
            target_event_cls=ProcessExited,
            target_action_cls=ExecuteProcess,
            **keywords,
        )
