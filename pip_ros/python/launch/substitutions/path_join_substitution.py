"""Paths made of parts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class PathJoinSubstitution(Substitution):
    """Parts joined as ``os.path.join`` does; a part that is a list is concatenated first."""

    def __init__(self, substitutions: Iterable[SomeSubstitutionsType]) -> None:
        self.__components = [normalize_to_list_of_substitutions(part) for part in substitutions]

    @property
    def substitutions(self) -> list[list[Substitution]]:
        """Return the parts."""
        return self.__components

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        parts = [" + ".join(sub.describe() for sub in component) for component in self.__components]
        return f"PathJoin({', '.join(parts)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the joined path."""
        parts = [perform_substitutions(context, component) for component in self.__components]
        return os.path.join(*parts)  # noqa: PTH118 - a Path would drop trailing slashes and dots
