"""A message to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.logging import get_logger
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LogInfo(Action):
    """Logs a message."""

    def __init__(self, *, msg: SomeSubstitutionsType, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.__msg = normalize_to_list_of_substitutions(msg)

    @property
    def msg(self) -> list[Substitution]:
        """Return the message."""
        return self.__msg

    def execute(self, context: LaunchContext) -> None:
        """Log the message."""
        get_logger("launch.user").info(perform_substitutions(context, self.__msg))
