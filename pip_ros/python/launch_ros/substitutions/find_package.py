"""Where a package is installed."""

from __future__ import annotations

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions


class FindPackage(Substitution):
    """Base of the substitutions by a directory of a package."""

    def __init__(self, package: SomeSubstitutionsType) -> None:
        self.__package = normalize_to_list_of_substitutions(package)

    @property
    def package(self) -> list[Substitution]:
        """Return the name of the package."""
        return self.__package

    def find(self, package_name: str) -> str:
        """Return the directory."""
        raise NotImplementedError(f"{type(self).__name__} does not implement find()")

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return f"{type(self).__name__}(pkg={' + '.join(part.describe() for part in self.__package)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the directory; ament_index_python's PackageNotFoundError where there is no such package."""
        return self.find(perform_substitutions(context, self.__package))


class FindPackagePrefix(FindPackage):
    """The installation prefix of a package."""

    def find(self, package_name: str) -> str:
        """Return the prefix."""
        return str(get_package_prefix(package_name))


class FindPackageShare(FindPackage):
    """The share directory of a package."""

    def find(self, package_name: str) -> str:
        """Return the share directory."""
        return str(get_package_share_directory(package_name))
