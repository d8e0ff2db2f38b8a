"""The end of the launch, as an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch.actions.emit_event import EmitEvent
from launch.events.process import ProcessExited
from launch.events.shutdown import Shutdown as ShutdownEvent
from launch.logging import get_logger
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class Shutdown(EmitEvent):
    """Shuts the launch down.

    Args:
        reason: why, in words.
    """

    def __init__(self, *, reason: SomeSubstitutionsType = "reason not given", **keywords: Any) -> None:
        super().__init__(event=ShutdownEvent(), **keywords)
        self.__reason = normalize_to_list_of_substitutions(reason)

    def execute(self, context: LaunchContext) -> None:
        """Begin the shutdown, unless it has begun."""
        if context.is_shutdown:
            return
        event = context.get_locals_as_dict().get("event")
        if isinstance(event, ProcessExited):
            get_logger("launch").info(
                f"process[{event.process_name}] was required: shutting down launched system"
            )
        reason = perform_substitutions(context, self.__reason)
        context.emit_event_sync(ShutdownEvent(reason=reason))
