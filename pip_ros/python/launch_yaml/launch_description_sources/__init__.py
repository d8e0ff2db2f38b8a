"""Sources of launch descriptions in YAML."""

from launch.launch_description_sources import FrontendLaunchDescriptionSource


class YAMLLaunchDescriptionSource(FrontendLaunchDescriptionSource):
    """A launch file in YAML."""


__all__ = ["YAMLLaunchDescriptionSource"]
