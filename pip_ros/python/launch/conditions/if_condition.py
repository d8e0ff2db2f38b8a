"""Do it if an expression is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.condition import Condition
from launch.conditions.evaluate_condition_expression_impl import evaluate_condition_expression
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class IfCondition(Condition):
    """Holds if the expression is true."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        self.__expression = normalize_to_list_of_substitutions(predicate_expression)
        super().__init__(predicate=self._holds)

    def describe(self) -> str:
        """Return the condition as it is shown to a user."""
        return f"IfCondition({' + '.join(part.describe() for part in self.__expression)})"

    def _holds(self, context: LaunchContext) -> bool:
        return evaluate_condition_expression(context, self.__expression)
