"""Sources of launch descriptions in XML."""

from launch.launch_description_sources import FrontendLaunchDescriptionSource


class XMLLaunchDescriptionSource(FrontendLaunchDescriptionSource):
    """A launch file in XML."""


__all__ = ["XMLLaunchDescriptionSource"]
