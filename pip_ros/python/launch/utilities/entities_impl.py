"""Walking through the entities of a launch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from launch.launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

EntityFuture = tuple[LaunchDescriptionEntity, "asyncio.Future[None]"]


def visit_all_entities_and_collect_futures(
    entity: LaunchDescriptionEntity, context: LaunchContext
) -> list[EntityFuture]:
    """Visit the entity and, depth first, all that it leads to; return those that are still at work."""
    futures: list[EntityFuture] = []
    sub_entities = entity.visit(context)
    future = entity.get_asyncio_future()
    if future is not None:
        futures.append((entity, future))
    for sub_entity in sub_entities or []:
        futures += visit_all_entities_and_collect_futures(sub_entity, context)
    return futures
