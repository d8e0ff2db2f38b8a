"""Handlers of events."""

from launch.event_handlers.on_action_event_base import OnActionEventBase
from launch.event_handlers.on_include_launch_description import OnIncludeLaunchDescription
from launch.event_handlers.on_process_exit import OnProcessExit
from launch.event_handlers.on_process_io import OnProcessIO
from launch.event_handlers.on_process_start import OnProcessStart
from launch.event_handlers.on_shutdown import OnShutdown
from launch.unsupported import absent_names

__all__ = [
    "OnActionEventBase",
    "OnIncludeLaunchDescription",
    "OnProcessExit",
    "OnProcessIO",
    "OnProcessStart",
    "OnShutdown",
]

__getattr__ = absent_names(__name__, {"OnExecutionComplete"})
