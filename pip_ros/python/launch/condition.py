"""A predicate that decides whether an action is executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class Condition:
    """A condition by a function of the launch context; the base of all conditions."""

    def __init__(self, *, predicate: Callable[[LaunchContext], bool] | None = None) -> None:
        self._predicate = predicate

    def describe(self) -> str:
        """Return the condition as it is shown to a user."""
        return f"{type(self).__name__}({self._predicate})"

    def evaluate(self, context: LaunchContext) -> bool:
        """Return whether the condition holds in the given context."""
        if self._predicate is None:
            raise NotImplementedError(f"{type(self).__name__} has no predicate")
        return self._predicate(context)
