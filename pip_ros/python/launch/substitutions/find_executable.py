"""The path of a program."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.substitutions.substitution_failure import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class FindExecutable(Substitution):
    """The path of a program on PATH."""

    def __init__(self, *, name: SomeSubstitutionsType) -> None:
        self.__name = normalize_to_list_of_substitutions(name)

    @property
    def name(self) -> list[Substitution]:
        """Return the name of the program."""
        return self.__name

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return f"FindExec({' + '.join(part.describe() for part in self.__name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the path; SubstitutionFailure where there is none."""
        name = perform_substitutions(context, self.__name)
        path = shutil.which(name, path=context.environment.get("PATH"))
        if path is None:
            raise SubstitutionFailure(f"executable '{name}' not found on the PATH")
        return path
