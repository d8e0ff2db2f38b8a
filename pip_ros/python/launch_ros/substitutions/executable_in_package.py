"""The executable of a package."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch.substitutions import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions


class ExecutableInPackage(Substitution):
    """The path of an executable in ``<prefix>/lib/<package>``."""

    def __init__(self, executable: SomeSubstitutionsType, package: SomeSubstitutionsType) -> None:
        self.__executable = normalize_to_list_of_substitutions(executable)
        self.__package = normalize_to_list_of_substitutions(package)

    @property
    def executable(self) -> list[Substitution]:
        """Return the name of the executable."""
        return self.__executable

    @property
    def package(self) -> list[Substitution]:
        """Return the name of the package."""
        return self.__package

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        executable = " + ".join(part.describe() for part in self.__executable)
        package = " + ".join(part.describe() for part in self.__package)
        return f"ExecInPkg({executable}, {package})"

    def perform(self, context: LaunchContext) -> str:
        """Return the path; SubstitutionFailure where package or executable is missing."""
        executable = perform_substitutions(context, self.__executable)
        package = perform_substitutions(context, self.__package)
        try:
            prefix = get_package_prefix(package)
        except PackageNotFoundError as error:
            raise SubstitutionFailure(str(error.args[0])) from error
        directory = Path(prefix, "lib", package)
        path = directory / executable
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise SubstitutionFailure(
                f"executable '{executable}' not found on the libexec directory '{directory}'"
            )
        return str(path)
