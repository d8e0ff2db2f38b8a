"""A value that belongs to the current event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.substitution import Substitution
from launch.substitutions.substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LocalSubstitution(Substitution):
    """The value of an attribute path of ``context.locals``, e.g. ``event.reason``."""

    def __init__(self, expression: str, description: str | None = None) -> None:
        self.__expression = expression
        self.__description = description

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return self.__description or f"LocalVar('{self.__expression}')"

    def perform(self, context: LaunchContext) -> str:
        """Return the value as a text."""
        value: object = context.locals
        for name in self.__expression.split("."):
            if not hasattr(value, name):
                raise SubstitutionFailure(f"'{self.__expression}' is not available: no '{name}'")
            value = getattr(value, name)
        return str(value)
