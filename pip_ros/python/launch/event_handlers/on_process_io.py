"""What is done with the output of a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from launch.event_handlers.on_action_event_base import ActionMatcher, OnActionEventBase
from launch.events.process import ProcessIO
from launch.some_entities_type import SomeEntitiesType

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

OnText = Callable[[ProcessIO], SomeEntitiesType | None]


class OnProcessIO(OnActionEventBase):
    """Does something with each piece of output of a process.

    Args:
        target_action: the process, a predicate on actions, or None for every process.
        on_stdout: function of the event that returns the entities to visit, or None.
        on_stderr: likewise, for the standard error.
    """

    def __init__(
        self,
        *,
        target_action: ActionMatcher | None = None,
        on_stdin: OnText | None = None,
        on_stdout: OnText | None = None,
        on_stderr: OnText | None = None,
        **keywords: Any,
    ) -> None:
        from launch.actions.execute_process import ExecuteProcess

        if on_stdin is not None:
            raise NotImplementedError("OnProcessIO does not support on_stdin here: nothing writes to it")

        def on_text(event: ProcessIO, context: LaunchContext) -> SomeEntitiesType | None:
            if event.from_stdout and on_stdout is not None:
                return on_stdout(event)
            if event.from_stderr and on_stderr is not None:
                return on_stderr(event)
            return None

        super().__init__(
            action_matcher=target_action,
            on_event=on_text,
            target_event_cls=ProcessIO,
            target_action_cls=ExecuteProcess,
            **keywords,
        )
