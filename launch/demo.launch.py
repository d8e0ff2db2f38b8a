"""A camera that is played, the perception graph, and a report that ends the launch with its exit code."""

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def _end_with(event: ProcessExited, _context: LaunchContext) -> list[OpaqueFunction | EmitEvent]:
    """A failed report must fail the launch, and only an error inside the launch does that."""
    if event.returncode != 0:
        return [OpaqueFunction(function=_fail, args=[event.returncode])]
    return [EmitEvent(event=Shutdown(reason="the demo is over"))]


def _fail(_context: LaunchContext, code: int) -> None:
    raise RuntimeError(f"the demo report failed with exit code {code}")


def generate_launch_description() -> LaunchDescription:
    share = FindPackageShare("sam3d_ros")
    arguments = [
        DeclareLaunchArgument(
            "frames",
            default_value="",
            description="Frame folder, or folder of frame folders, to play; empty = a procedural tabletop scene.",
        ),
        DeclareLaunchArgument("seed", default_value="9", description="Seed of the procedural scene."),
        DeclareLaunchArgument(
            "object_count", default_value="5", description="Objects of the procedural scene."
        ),
        DeclareLaunchArgument("rate", default_value="10.0", description="Images a second."),
        DeclareLaunchArgument(
            "output", default_value="demo_output", description="Folder for the pictures and the table."
        ),
        DeclareLaunchArgument(
            "timeout", default_value="60.0", description="Longest time the demo waits, seconds."
        ),
        DeclareLaunchArgument(
            "rviz",
            default_value="false",
            choices=["true", "false"],
            description="Start RViz with this package's view.",
        ),
    ]
    perception = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([share, "launch", "perception.launch.py"])),
        launch_arguments={"sam3d_rviz": LaunchConfiguration("rviz")}.items(),
    )
    player = Node(
        package="sam3d_ros",
        executable="frame_player",
        output="screen",
        parameters=[
            {
                "frames": ParameterValue(LaunchConfiguration("frames"), value_type=str),
                "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
                "object_count": ParameterValue(LaunchConfiguration("object_count"), value_type=int),
                "rate": ParameterValue(LaunchConfiguration("rate"), value_type=float),
            }
        ],
    )
    report = Node(
        package="sam3d_ros",
        executable="demo_report",
        output="screen",
        parameters=[
            {
                "output": ParameterValue(LaunchConfiguration("output"), value_type=str),
                "timeout": ParameterValue(LaunchConfiguration("timeout"), value_type=float),
            }
        ],
    )
    finish = RegisterEventHandler(OnProcessExit(target_action=report, on_exit=_end_with))
    # Perception first: it sets the Fast DDS profile for the processes after it.
    return LaunchDescription([*arguments, perception, finish, player, report])
