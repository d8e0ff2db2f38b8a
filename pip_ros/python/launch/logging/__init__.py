"""Log of a launch: on the screen and in files."""

from launch.logging.launch_config import LaunchConfig, get_logger, launch_config
from launch.logging.output_loggers import get_output_loggers

__all__ = ["LaunchConfig", "get_logger", "get_output_loggers", "launch_config"]
