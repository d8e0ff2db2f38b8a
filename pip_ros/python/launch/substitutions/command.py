"""The output of a command."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from launch.logging import get_logger
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.substitutions.substitution_failure import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

_REACTIONS = ("fail", "ignore", "warn", "capture")


class Command(Substitution):
    """The standard output of a command, which is split as a shell would but run without one.

    Args:
        command: the command line.
        on_stderr: what output on the standard error leads to: ``fail``, ``ignore``, ``warn``,
            or ``capture`` (it joins the value).
    """

    def __init__(self, command: SomeSubstitutionsType, *, on_stderr: SomeSubstitutionsType = "fail") -> None:
        self.__command = normalize_to_list_of_substitutions(command)
        self.__on_stderr = normalize_to_list_of_substitutions(on_stderr)

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return f"Command({' + '.join(part.describe() for part in self.__command)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the output; SubstitutionFailure where the command fails."""
        command = perform_substitutions(context, self.__command)
        on_stderr = perform_substitutions(context, self.__on_stderr)
        if on_stderr not in _REACTIONS:
            raise SubstitutionFailure(f"expected on_stderr to be one of {_REACTIONS}, got '{on_stderr}'")
        try:
            result = subprocess.run(
                shlex.split(command),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if on_stderr == "capture" else subprocess.PIPE,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise SubstitutionFailure(f"file not found: {error}") from error
        if result.returncode != 0:
            raise SubstitutionFailure(
                f"executed command failed. Command: {command}\nCaptured stderr output: {result.stderr}"
            )
        if result.stderr:
            message = f"executed command showed stderr output. Command: {command}\n{result.stderr}"
            if on_stderr == "fail":
                raise SubstitutionFailure(message)
            if on_stderr == "warn":
                get_logger("launch").warning(message)
        return result.stdout
