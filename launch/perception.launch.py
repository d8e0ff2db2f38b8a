"""Objects and people with metric poses from a camera: `ros2 launch sam3d_ros perception.launch.py`.

`--show-args` lists every argument. Inputs and outputs are topics of the node; give another name to remap one.
A setting that is left empty keeps its value in `sam3d_params_file`.

All names begin with sam3d_, because an included file sees the arguments of the files around it, whose `depth:=true` is
not meant for it. `use_sim_time` alone is shared, as everywhere. What it leaves behind for the files around is the Fast
DDS profile, which is of use to the processes after.
"""

import shlex
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, OpaqueFunction, SetEnvironmentVariable
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, LaunchLogDir, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from sam3d_ros.nodes.launch_arguments import existing_file, misspelt, namespace, parameter_value, topic_name
from sam3d_ros.nodes.parameter_yaml import overriding_parameters
from sam3d_ros.nodes.process_environment import PROCESS_ENVIRONMENT
from sam3d_ros.reconstruction.body_config import BODY_MODES
from sam3d_ros.reconstruction.network_config import DTYPES, MEMORY, RECONSTRUCTORS
from sam3d_ros.ros.frame_ids import without_slash

#: Nodes of the process.
NODES = ("perception", "sam3d_objects", "sam3d_bodies")
#: Topics of all nodes.
INPUTS = {
    "image": "In: colour image (sensor_msgs/Image); with sam3d_image_transport:=compressed its /compressed sibling is "
    "read.",
    "camera_info": "In: calibration of the colour image (sensor_msgs/CameraInfo).",
    "labels": "In: instance segmentation (sensor_msgs/Image): the value of a pixel is its instance, 0 = none; with "
    "sam3d_labels_transport:=compressed its /compressed sibling is read.",
    "label_info": "In: class names of the instances (vision_msgs/LabelInfo, latched); optional.",
    "depth": "In: depth image (sensor_msgs/Image 32FC1 in metres or 16UC1 in millimetres); optional.",
    "depth/camera_info": "In: calibration of a depth image that is not registered to the colour image; optional.",
    "points": "In: LiDAR sweep (sensor_msgs/PointCloud2), used where there is no depth; optional.",
}
#: Topics of sam3d_objects.
OUTPUTS = {
    "~/objects": "Out: pose, size and verdict of every object at every image (sam3d_ros/ObjectArray).",
    "~/meshes": "Out: every version of every mesh, once (sam3d_ros/ObjectMesh, latched).",
    "~/detections": "Out: the same objects as boxes (vision_msgs/Detection3DArray).",
    "~/surfaces": "Out: what the objects stand on at every image (sam3d_ros/SupportSurfaceArray).",
    "~/gaussians": "Out: objects as Gaussian splats, if outputs asks for them (sensor_msgs/PointCloud2, latched).",
    "~/markers": "Out: the same objects for RViz (visualization_msgs/MarkerArray, latched).",
}
#: Topics of sam3d_bodies, by the names that tell them from those of the objects.
BODY_TOPICS = {
    "body_detections": (
        "detections",
        "In: boxes of people (vision_msgs/Detection2DArray), read in place of labels with "
        "sam3d_people_from:=detections.",
    ),
    "body_detections_label_info": (
        "detections/label_info",
        "In: class names of the class ids of these boxes, where they are numbers (vision_msgs/LabelInfo, latched).",
    ),
    "body_keypoints": (
        "keypoints",
        "In: keypoints of people that are known (sam3d_ros/BodyKeypoints2DArray); optional.",
    ),
    "bodies": ("~/bodies", "Out: keypoints, joints and verdict of everybody (sam3d_ros/BodyArray)."),
    "body_meshes": (
        "~/meshes",
        "Out: the surface of everybody at every image (sam3d_ros/BodyMesh, latched).",
    ),
    "body_markers": (
        "~/markers",
        "Out: the same people for RViz (visualization_msgs/MarkerArray, latched).",
    ),
}

#: Parameters of the nodes, for all that have them.
SETTINGS = {
    "reconstructor": "What turns a mask into a mesh. geometric: no weights, runs anywhere; sam3d: the networks; auto: "
    "sam3d where its weights are.",
    "checkpoint": "Folder of the converted weights of sam3d.",
    "device": "Where the networks run: auto, cpu, cuda, cuda:1.",
    "dtype": "Of the weights and activations of the networks.",
    "memory": "Where networks wait while they are not used: low = on disk, balanced = host, high = on the device.",
    "steps": "Of the networks for shape and pose: 25, or 1 to 4 distilled ones.",
    "refinement_steps": "Of the networks for details and colours.",
    "outputs": "What the networks make, with commas between: mesh, gaussians, gaussians_4, or pose alone.",
    "hypotheses": "Poses that the networks draw for each object.",
    "target_frame": "Fixed TF frame that objects are tracked in, needed when the camera moves.",
    "frame_prefix": "Before the name of every TF frame that is made, with its slash; / = none. Where nothing says one, "
    "it is sam3d_namespace and a slash.",
    "publish_rejected": "Objects whose verdict is REJECTED are frames, detections and markers, too.",
    "surface_frames": "The surfaces that objects stand on are frames on /tf, too.",
    "image_transport": "Transport of the colour image.",
    "labels_transport": "Transport of the labels; compressed: PNG.",
    "depth_transport": "Transport of the depth image.",
    "rectified": "The images are rectified: P of their camera_info holds, without a lens.",
    "relative_depth": "The depth image has no metric scale: save_scene takes that of the people.",
    "body.checkpoint": "Folder of the weights of SAM 3D Body.",
    "body.mode": "full looks at hands from near, body does not and takes a third of the time.",
    "people_from": "What says where people are: labels, or detections (boxes) in their place.",
}
#: Settings of the objects that hold for the people, too, where they have another name.
SHARED = {"device": "body.device", "dtype": "body.dtype"}
#: Settings that are no text.
KINDS = {
    "steps": int,
    "refinement_steps": int,
    "hypotheses": int,
    "rectified": bool,
    "relative_depth": bool,
    "publish_rejected": bool,
    "surface_frames": bool,
    "outputs": list,
}
CHOICES = {
    "reconstructor": ["", *RECONSTRUCTORS],
    "dtype": ["", *DTYPES],
    "memory": ["", *MEMORY],
    "image_transport": ["", "raw", "compressed"],
    "labels_transport": ["", "raw", "compressed"],
    "depth_transport": ["", "raw", "compressedDepth", "compressed"],
    "rectified": ["", "true", "false"],
    "relative_depth": ["", "true", "false"],
    "publish_rejected": ["", "true", "false"],
    "surface_frames": ["", "true", "false"],
    "body.mode": ["", *BODY_MODES],
    "people_from": ["", "labels", "detections"],
}


#: How long a process that ended is not started again: what brought it down may pass, seconds.
RESPAWN_DELAY = 1.0


def _topic_argument(name: str) -> str:
    """Name of the launch argument that remaps a topic."""
    return f"sam3d_{name.removeprefix('~/').replace('/', '_')}_topic"


def _setting_argument(parameter: str) -> str:
    """Name of the launch argument that sets a parameter."""
    return f"sam3d_{parameter.replace('.', '_')}"


#: What is remapped -> the launch argument that names the topic in its place. An input has one name in the whole
#: process, whoever reads it: nodes that agree in their inputs share a source.
REMAPPED = {
    **{topic: _topic_argument(topic) for topic in INPUTS},
    **{f"sam3d_objects:{topic}": _topic_argument(topic) for topic in OUTPUTS},
    **{
        f"sam3d_bodies:{topic}" if topic.startswith("~/") else topic: _topic_argument(name)
        for name, (topic, _) in BODY_TOPICS.items()
    },
}


def _given(context: LaunchContext, argument: str) -> str:
    return LaunchConfiguration(argument).perform(context)


def _parameters(context: LaunchContext) -> dict[str, Any]:
    """The parameters that are given: one that is left empty must not override the file."""
    parameters = {
        name: parameter_value(argument, value, KINDS.get(name, str))
        for name, argument in ((name, _setting_argument(name)) for name in SETTINGS)
        if (value := _given(context, argument))
    }
    parameters |= {SHARED[name]: parameters[name] for name in SHARED.keys() & parameters.keys()}
    if _given(context, "sam3d_bodies") == "true":
        parameters["nodes"] = ["sam3d_objects", "sam3d_bodies"]
    if use_sim_time := _given(context, "use_sim_time"):
        parameters["use_sim_time"] = use_sim_time.lower() == "true"
    return parameters


def _overriding_file(folder: Path, parameters: Mapping[str, Any]) -> Path:
    """A file for the nodes, beside the logs: it tells what these were made with."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=folder, prefix="sam3d_", suffix=".yaml", delete=False
    ) as file:
        file.write(overriding_parameters(NODES, parameters))
    return Path(file.name)


def _rviz(context: LaunchContext, remapped: Mapping[str, str], parameters: Mapping[str, Any]) -> Node:
    """RViz with the topics of the nodes, in the frame that is named, or else in the one that camera_info names."""
    frame = without_slash(_given(context, "sam3d_rviz_frame") or parameters.get("target_frame", ""))
    markers = {
        f"{node}/markers": remapped[f"{node}:~/markers"].replace("~", node)
        for node in ("sam3d_objects", "sam3d_bodies")
    }
    return Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=LaunchConfiguration("sam3d_namespace"),
        prefix=None if frame else f"{shlex.quote(sys.executable)} -m sam3d_ros.nodes.camera_view",
        output="log",
        arguments=[*(["-f", frame] if frame else []), "-d", LaunchConfiguration("sam3d_rviz_config")],
        remappings=[*((topic, remapped[topic]) for topic in INPUTS), *markers.items()],
        parameters=[{"use_sim_time": parameters["use_sim_time"]}] if "use_sim_time" in parameters else [],
    )


def _warn_of_misspelt(context: LaunchContext, arguments: list[str]) -> None:
    """Say which arguments are none. Launch files around may have some of their own, which are no fault."""
    given = [name for name in context.launch_configurations if name.startswith("sam3d_")]
    for text in misspelt(given, arguments):
        get_logger("sam3d_ros").warning(text)


def _nodes(context: LaunchContext) -> list[Node]:
    """The process of the graph, and RViz where it is wanted."""
    parameters = _parameters(context)
    remapped = {name: topic_name(argument, _given(context, argument)) for name, argument in REMAPPED.items()}
    files = [existing_file("sam3d_params_file", _given(context, "sam3d_params_file"))]
    if parameters:
        files.append(_overriding_file(Path(LaunchLogDir().perform(context)), parameters))
    perception = Node(
        package="sam3d_ros",
        executable="perception",
        namespace=namespace("sam3d_namespace", _given(context, "sam3d_namespace")),
        additional_env=dict(PROCESS_ENVIRONMENT),
        output="screen",
        respawn=LaunchConfiguration("sam3d_respawn"),
        respawn_delay=RESPAWN_DELAY,
        parameters=files,
        remappings=list(remapped.items()),
        arguments=["--ros-args", "--log-level", LaunchConfiguration("sam3d_log_level")],
    )
    if _given(context, "sam3d_rviz") == "true":
        return [perception, _rviz(context, remapped, parameters)]
    return [perception]


def generate_launch_description() -> LaunchDescription:
    share = FindPackageShare("sam3d_ros")
    topics = [
        DeclareLaunchArgument(_topic_argument(name), default_value=topic, description=text)
        for name, (topic, text) in [
            *((topic, (topic, text)) for topic, text in (INPUTS | OUTPUTS).items()),
            *BODY_TOPICS.items(),
        ]
    ]
    settings = [
        DeclareLaunchArgument(
            _setting_argument(name),
            default_value="",
            choices=CHOICES.get(name),
            description=f"{text} Empty: as in sam3d_params_file.",
        )
        for name, text in SETTINGS.items()
    ]
    process = [
        DeclareLaunchArgument(
            "sam3d_bodies",
            default_value="false",
            choices=["true", "false"],
            description="Run sam3d_bodies, too: skeletons and meshes of the instances called person. Needs the weights "
            "of SAM 3D Body. False: the nodes that sam3d_params_file names.",
        ),
        DeclareLaunchArgument(
            "sam3d_params_file",
            default_value=PathJoinSubstitution([share, "config", "perception.yaml"]),
            description="Parameters of the nodes.",
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="",
            choices=["", "true", "false", "True", "False"],
            description="Take the time from /clock, as with a played bag or a simulator. Empty: as in "
            "sam3d_params_file, or as SetParameter around says; else false.",
        ),
        DeclareLaunchArgument(
            "sam3d_namespace", default_value="", description="Namespace of the nodes and their topics."
        ),
        DeclareLaunchArgument(
            "sam3d_respawn",
            default_value="false",
            choices=["true", "false"],
            description="Start the nodes again when their process ends by itself or is killed: ids begin anew, under "
            "another session.",
        ),
        DeclareLaunchArgument(
            "sam3d_log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="Least severity that is logged.",
        ),
        DeclareLaunchArgument(
            "sam3d_rviz",
            default_value="false",
            choices=["true", "false"],
            description="Start RViz with this package's view.",
        ),
        DeclareLaunchArgument(
            "sam3d_rviz_config",
            default_value=PathJoinSubstitution([share, "config", "perception.rviz"]),
            description="RViz configuration.",
        ),
        DeclareLaunchArgument(
            "sam3d_rviz_frame",
            default_value="",
            description="Fixed frame of RViz. Empty: sam3d_target_frame, or where that is empty, too, the frame of the "
            "first camera_info.",
        ),
    ]
    profile = DeclareLaunchArgument(
        "sam3d_fastdds_profile",
        default_value=PathJoinSubstitution([share, "config", "fastdds.xml"]),
        description="Fast DDS profile; the default one keeps whole images in shared memory.",
    )
    environment = [
        SetEnvironmentVariable(name, LaunchConfiguration("sam3d_fastdds_profile"))
        for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    ]
    arguments = [argument.name for argument in (*topics, *settings, *process, profile)]
    warning = OpaqueFunction(function=_warn_of_misspelt, args=[arguments])
    scope = GroupAction([*topics, *settings, *process, warning, OpaqueFunction(function=_nodes)])
    return LaunchDescription([profile, *environment, scope])
