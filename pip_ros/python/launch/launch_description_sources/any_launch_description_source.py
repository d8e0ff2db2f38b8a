"""A launch file in whichever language it is written."""

from pathlib import Path

from launch.launch_description import LaunchDescription
from launch.launch_description_source import LaunchDescriptionSource
from launch.launch_description_sources.python_launch_file_utilities import (
    get_launch_description_from_python_launch_file,
)
from launch.some_substitutions_type import SomeSubstitutionsType

_MARKUP_EXTENSIONS = {".xml", ".yaml", ".yml"}


def _described(location: str) -> LaunchDescription:
    from launch.frontend.parser import launch_description_of_file

    return launch_description_of_file(location)


class FrontendLaunchDescriptionSource(LaunchDescriptionSource):
    """A launch file in XML or YAML.

    Args:
        launch_file_path: path of the file; may contain substitutions.
    """

    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        super().__init__(None, launch_file_path, "interpreted frontend launch file")

    def _get_launch_description(self, location: str) -> LaunchDescription:
        return _described(location)


class AnyLaunchDescriptionSource(LaunchDescriptionSource):
    """A launch file whose language is told by its extension: Python, XML or YAML.

    Args:
        launch_file_path: path of the file; may contain substitutions.
    """

    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        super().__init__(None, launch_file_path, "interpreted launch file")

    def _get_launch_description(self, location: str) -> LaunchDescription:
        if Path(location).suffix in _MARKUP_EXTENSIONS:
            return _described(location)
        return get_launch_description_from_python_launch_file(location)
