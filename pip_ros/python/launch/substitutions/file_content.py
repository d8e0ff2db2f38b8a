"""The content of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.substitutions.substitution_failure import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class FileContent(Substitution):
    """The content of a text file."""

    def __init__(self, path: SomeSubstitutionsType) -> None:
        self.__path = normalize_to_list_of_substitutions(path)

    def perform(self, context: LaunchContext) -> str:
        """Return the content; SubstitutionFailure where it cannot be read."""
        path = perform_substitutions(context, self.__path)
        try:
            return Path(path).read_text()
        except OSError as error:
            raise SubstitutionFailure(f"cannot read the file '{path}': {error.strerror}") from error
