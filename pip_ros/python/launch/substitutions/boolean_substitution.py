"""Logic on texts that say true or false."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.substitution import Substitution
from launch.utilities.type_utils import SomeBool, TypedValue

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class NotSubstitution(Substitution):
    """``true`` if the value is false, else ``false``."""

    def __init__(self, value: SomeBool) -> None:
        self.__value = TypedValue(value)

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return f"NotSubstitution({self.__value.describe()})"

    def perform(self, context: LaunchContext) -> str:
        """Return the negation."""
        return str(not self.__value.perform_bool(context)).lower()


class _Combination(Substitution):
    """Base of the combinations of several values."""

    def __init__(self, *values: SomeBool) -> None:
        self._values = [TypedValue(value) for value in values]

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return f"{type(self).__name__}({', '.join(value.describe() for value in self._values)})"

    def _performed(self, context: LaunchContext) -> list[bool]:
        return [value.perform_bool(context) for value in self._values]


class AllSubstitution(_Combination):
    """``true`` if all values are true, else ``false``."""

    def perform(self, context: LaunchContext) -> str:
        """Return the conjunction."""
        return str(all(self._performed(context))).lower()


class AnySubstitution(_Combination):
    """``true`` if any value is true, else ``false``."""

    def perform(self, context: LaunchContext) -> str:
        """Return the disjunction."""
        return str(any(self._performed(context))).lower()


class AndSubstitution(AllSubstitution):
    """``true`` if both values are true, else ``false``."""

    def __init__(self, left: SomeBool, right: SomeBool) -> None:
        super().__init__(left, right)


class OrSubstitution(AnySubstitution):
    """``true`` if one of two values is true, else ``false``."""

    def __init__(self, left: SomeBool, right: SomeBool) -> None:
        super().__init__(left, right)
