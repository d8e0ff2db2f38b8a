"""Events of a launch."""

from launch.events import process
from launch.events.include_launch_description import IncludeLaunchDescription
from launch.events.matchers import matches_action
from launch.events.shutdown import Shutdown
from launch.events.timer_event import TimerEvent
from launch.unsupported import absent_names

__all__ = ["IncludeLaunchDescription", "Shutdown", "TimerEvent", "matches_action", "process"]

__getattr__ = absent_names(__name__, {"ExecutionComplete"})
