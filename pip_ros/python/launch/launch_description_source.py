"""Where a launch description comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.launch_description import LaunchDescription
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution, SubstitutionFailure

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LaunchDescriptionSource:
    """A launch description, or the location that it is loaded from.

    Args:
        launch_description: the description, where there is no file.
        location: path of the launch file; may contain substitutions.
        method: how the description is obtained, in words.
    """

    def __init__(
        self,
        launch_description: LaunchDescription | None = None,
        location: SomeSubstitutionsType | None = None,
        method: str = "unspecified mechanism from a script",
    ) -> None:
        from launch.utilities import normalize_to_list_of_substitutions

        self.__launch_description = launch_description
        self.__method = method
        self.__location: list[Substitution] = []
        if location is not None:
            self.__location = normalize_to_list_of_substitutions(location)
        self.__expanded_location: str | None = None

    @property
    def method(self) -> str:
        """Return how the description is obtained, in words."""
        return self.__method

    @property
    def location(self) -> str:
        """Return the location: expanded once it is, else as its substitutions describe themselves."""
        if self.__expanded_location is not None:
            return self.__expanded_location
        return " + ".join(part.describe() for part in self.__location)

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """Return the description if it can be known before the launch runs, else None."""
        from launch.launch_context import LaunchContext

        if self.__launch_description is None and self.__location:
            try:
                return self.get_launch_description(LaunchContext())
            except (SubstitutionFailure, FileNotFoundError):
                return None  # the location depends on the state of the running launch
        return self.__launch_description

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """Return the description, loaded at the first call."""
        from launch.utilities import perform_substitutions

        if self.__launch_description is None:
            location = perform_substitutions(context, self.__location)
            self.__launch_description = self._get_launch_description(location)
            self.__expanded_location = location
        return self.__launch_description

    def _get_launch_description(self, location: str) -> LaunchDescription:
        raise NotImplementedError(f"{type(self).__name__} cannot load {location}")
