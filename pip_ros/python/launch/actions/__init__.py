"""Actions: what a launch can do."""

from launch.action import Action
from launch.actions.declare_launch_argument import DeclareLaunchArgument
from launch.actions.emit_event import EmitEvent
from launch.actions.environment import (
    AppendEnvironmentVariable,
    PopEnvironment,
    PushEnvironment,
    ResetEnvironment,
    SetEnvironmentVariable,
    UnsetEnvironmentVariable,
)
from launch.actions.event_handlers import RegisterEventHandler, UnregisterEventHandler
from launch.actions.execute_process import ExecuteProcess
from launch.actions.group_action import GroupAction
from launch.actions.include_launch_description import IncludeLaunchDescription
from launch.actions.launch_configurations import (
    PopLaunchConfigurations,
    PushLaunchConfigurations,
    ResetLaunchConfigurations,
    SetLaunchConfiguration,
    UnsetLaunchConfiguration,
)
from launch.actions.log_info import LogInfo
from launch.actions.opaque_function import OpaqueFunction
from launch.actions.shutdown_action import Shutdown
from launch.actions.timer_action import TimerAction
from launch.unsupported import absent_names

__all__ = [
    "Action",
    "AppendEnvironmentVariable",
    "DeclareLaunchArgument",
    "EmitEvent",
    "ExecuteProcess",
    "GroupAction",
    "IncludeLaunchDescription",
    "LogInfo",
    "OpaqueFunction",
    "PopEnvironment",
    "PopLaunchConfigurations",
    "PushEnvironment",
    "PushLaunchConfigurations",
    "RegisterEventHandler",
    "ResetEnvironment",
    "ResetLaunchConfigurations",
    "SetEnvironmentVariable",
    "SetLaunchConfiguration",
    "Shutdown",
    "TimerAction",
    "UnregisterEventHandler",
    "UnsetEnvironmentVariable",
    "UnsetLaunchConfiguration",
]

__getattr__ = absent_names(
    __name__,
    {"ExecuteLocal", "ForEach", "ForLoop", "Log", "OpaqueCoroutine", "ReplaceEnvironmentVariables"},
)
