"""ROS nodes in a launch, as far as launch files in Python need them, where no ROS is installed."""

from launch_ros import actions, descriptions, event_handlers, events, parameter_descriptions, substitutions

__all__ = ["actions", "descriptions", "event_handlers", "events", "parameter_descriptions", "substitutions"]
