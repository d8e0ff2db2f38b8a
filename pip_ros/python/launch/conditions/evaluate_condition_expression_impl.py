"""The truth of a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from launch.conditions.invalid_condition_expression_error import InvalidConditionExpressionError
from launch.substitution import Substitution
from launch.utilities import perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

_VALUES = {"true": True, "1": True, "false": False, "0": False}


def evaluate_condition_expression(context: LaunchContext, expression: Iterable[Substitution]) -> bool:
    """Return the truth of the expression; only true, false, 1 and 0 (any case) are valid."""
    expanded = perform_substitutions(context, expression).strip().lower()
    if expanded not in _VALUES:
        valid = ", ".join(_VALUES)
        raise InvalidConditionExpressionError(
            f"invalid condition expression, expected one of [{valid}] but got '{expanded}'"
        )
    return _VALUES[expanded]
