"""Later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.event import Event
from launch.event_handler import EventHandler
from launch.event_handlers.on_shutdown import OnShutdown
from launch.events.timer_event import TimerEvent
from launch.launch_description_entity import ConditionalEntities, LaunchDescriptionEntity
from launch.utilities.type_utils import SomeBool, SomeFloat, TypedValue

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class TimerAction(Action):
    """Executes actions after a time, in the scope that is current then.

    Args:
        period: seconds.
        actions: the actions.
        cancel_on_shutdown: a shutdown cancels the timer; else the launch waits for it.
    """

    def __init__(
        self,
        *,
        period: SomeFloat,
        actions: Iterable[LaunchDescriptionEntity],
        cancel_on_shutdown: SomeBool = True,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.__period = TypedValue(period)
        self.__actions = list(actions)
        self.__cancel_on_shutdown = TypedValue(cancel_on_shutdown)
        self.__canceled = False
        self.__future: asyncio.Future[None] | None = None

    @property
    def actions(self) -> list[LaunchDescriptionEntity]:
        """Return the actions."""
        return self.__actions

    def describe_conditional_sub_entities(self) -> list[ConditionalEntities]:
        """Return the actions."""
        return [(f"after {self.__period.describe()} seconds", self.__actions)]

    def get_asyncio_future(self) -> asyncio.Future[None] | None:
        """Return the future that is done when the time is over, or the timer canceled."""
        return self.__future

    def cancel(self) -> None:
        """Cancel the timer: its actions will not be executed."""
        self.__canceled = True
        if self.__future is not None and not self.__future.done():
            self.__future.cancel()

    def execute(self, context: LaunchContext) -> None:
        """Start the timer."""
        if self.__canceled or context.is_shutdown:
            return
        self.__future = asyncio.ensure_future(self._wait(context, self.__period.perform_float(context)))

        def is_mine(event: Event) -> bool:
            return isinstance(event, TimerEvent) and event.timer_action is self

        context.register_event_handler(
            EventHandler(matcher=is_mine, entities=self.__actions, handle_once=True)
        )
        if self.__cancel_on_shutdown.perform_bool(context):
            context.register_event_handler(OnShutdown(on_shutdown=self._on_shutdown))

    async def _wait(self, context: LaunchContext, period: float) -> None:
        await asyncio.sleep(period)
        context.emit_event_sync(TimerEvent(timer_action=self))

    def _on_shutdown(self, event: Event, context: LaunchContext) -> None:
        self.cancel()
