"""One of two texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch.utilities.type_utils import TypedValue

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class IfElseSubstitution(Substitution):
    """``if_value`` if the condition is true, else ``else_value``."""

    def __init__(
        self,
        condition: SomeSubstitutionsType,
        if_value: SomeSubstitutionsType = "",
        else_value: SomeSubstitutionsType = "",
    ) -> None:
        self.__condition = TypedValue(condition)
        self.__if_value = normalize_to_list_of_substitutions(if_value)
        self.__else_value = normalize_to_list_of_substitutions(else_value)

    def perform(self, context: LaunchContext) -> str:
        """Return the chosen text; the other one is not performed."""
        chosen = self.__if_value if self.__condition.perform_bool(context) else self.__else_value
        return perform_substitutions(context, chosen)
