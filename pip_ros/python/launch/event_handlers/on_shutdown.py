"""What is done when the launch shuts down."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from launch.event import Event
from launch.event_handler import BaseEventHandler, as_entities
from launch.events.shutdown import Shutdown
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.some_entities_type import SomeEntitiesType

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

OnShutdownCallable = Callable[[Any, "LaunchContext"], SomeEntitiesType | None]


class OnShutdown(BaseEventHandler):
    """Does something when the launch shuts down.

    Args:
        on_shutdown: entities to visit, or a function of event and context that returns them.
    """

    def __init__(self, *, on_shutdown: SomeEntitiesType | OnShutdownCallable, **keywords: Any) -> None:
        super().__init__(matcher=lambda event: isinstance(event, Shutdown), **keywords)
        self.__on_shutdown: OnShutdownCallable | None = None
        self.__entities: list[LaunchDescriptionEntity] = []
        if isinstance(on_shutdown, LaunchDescriptionEntity) or not callable(on_shutdown):
            self.__entities = as_entities(on_shutdown)
        else:
            self.__on_shutdown = on_shutdown

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Return the handler in words, and its entities."""
        return (super().describe()[0], self.__entities)

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Return the entities to visit."""
        super().handle(event, context)
        if self.__on_shutdown is not None:
            return self.__on_shutdown(event, context)
        return self.__entities
