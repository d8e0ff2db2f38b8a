"""Texts with a delimiter between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class StringJoinSubstitution(Substitution):
    """Parts joined with a delimiter; a part that is a list is concatenated first."""

    def __init__(
        self, substitutions: Iterable[SomeSubstitutionsType], delimiter: SomeSubstitutionsType = ""
    ) -> None:
        self.__components = [normalize_to_list_of_substitutions(part) for part in substitutions]
        self.__delimiter = normalize_to_list_of_substitutions(delimiter)

    def perform(self, context: LaunchContext) -> str:
        """Return the joined text."""
        delimiter = perform_substitutions(context, self.__delimiter)
        return delimiter.join(perform_substitutions(context, component) for component in self.__components)
