"""Anything that a launch description can contain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

ConditionalEntities = tuple[str, Iterable["LaunchDescriptionEntity"]]


class LaunchDescriptionEntity:
    """Base of actions and launch descriptions: something the launch service visits."""

    def describe(self) -> str:
        """Return the entity as it is shown to a user."""
        return repr(self)

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities that a visit of this one is sure to lead to."""
        return []

    def describe_conditional_sub_entities(self) -> list[ConditionalEntities]:
        """Return the entities that may be reached later, each group with the condition in words."""
        return []

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Do what the entity stands for; return the entities that are to be visited next."""
        raise NotImplementedError(f"{type(self).__name__} does not implement visit()")

    def get_asyncio_future(self) -> asyncio.Future[None] | None:
        """Return the future that is done when the entity has finished; None: it finished with its visit."""
        return None
