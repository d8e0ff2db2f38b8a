"""The value of an expression in Python."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class PythonExpression(Substitution):
    """The text of the value of an expression in Python.

    Args:
        expression: the expression; its substitutions are performed first.
        python_modules: modules that the expression can use by name; names of ``math`` need no prefix.
    """

    def __init__(
        self, expression: SomeSubstitutionsType, python_modules: Iterable[SomeSubstitutionsType] = ("math",)
    ) -> None:
        self.__expression = normalize_to_list_of_substitutions(expression)
        self.__python_modules = [normalize_to_list_of_substitutions(module) for module in python_modules]

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return f"PythonExpr({' + '.join(part.describe() for part in self.__expression)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the text of the value."""
        names: dict[str, Any] = {}
        for module_name in self.__python_modules:
            module = importlib.import_module(perform_substitutions(context, module_name))
            if module.__name__ == "math":
                names.update(vars(module))
            names[module.__name__] = module
        return str(eval(perform_substitutions(context, self.__expression), {}, names))
