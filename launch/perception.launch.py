"""Objects and people with metric poses from a camera: `ros2 launch sam3d_ros perception.launch.py`.

`--show-args` lists every argument. Inputs and outputs are topics of the node; give another name to remap one.
A setting that is left empty keeps its value in `params_file`.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from sam3d_ros.nodes.process_environment import PROCESS_ENVIRONMENT
from sam3d_ros.reconstruction.body_config import BODY_MODES
from sam3d_ros.reconstruction.network_config import DTYPES, MEMORY, RECONSTRUCTORS

INPUTS = {
    "image": "In: colour image (sensor_msgs/Image); with image_transport:=compressed its /compressed sibling is read.",
    "camera_info": "In: calibration of the colour image (sensor_msgs/CameraInfo).",
    "labels": "In: instance segmentation (sensor_msgs/Image): the value of a pixel is its instance, 0 = none.",
    "label_info": "In: class names of the instances (vision_msgs/LabelInfo, latched); optional.",
    "depth": "In: depth image (sensor_msgs/Image 32FC1 in metres or 16UC1 in millimetres); optional.",
    "depth/camera_info": "In: calibration of a depth image that is not registered to the colour image; optional.",
    "points": "In: LiDAR sweep (sensor_msgs/PointCloud2), used where there is no depth; optional.",
}
OUTPUTS = {
    "~/objects": "Out: pose, size and verdict of every object at every image (sam3d_ros/ObjectArray).",
    "~/meshes": "Out: every version of every mesh, once (sam3d_ros/ObjectMesh, latched).",
    "~/detections": "Out: the same objects as boxes (vision_msgs/Detection3DArray).",
    "~/gaussians": "Out: objects as Gaussian splats, if outputs asks for them (sensor_msgs/PointCloud2, latched).",
    "~/markers": "Out: the same objects for RViz (visualization_msgs/MarkerArray, latched).",
}
#: Launch argument -> topic of the node sam3d_bodies, and what it is.
BODY_TOPICS = {
    "body_detections": (
        "detections",
        "In: boxes of people (vision_msgs/Detection2DArray), read in place of labels with people_from:=detections.",
    ),
    "body_detections_label_info": (
        "detections/label_info",
        "In: class names of the class ids of these boxes, where they are numbers (vision_msgs/LabelInfo, latched).",
    ),
    "body_keypoints": (
        "keypoints",
        "In: keypoints of people that are known (sam3d_ros/BodyKeypoints2DArray); optional.",
    ),
    "body_array": ("~/bodies", "Out: keypoints, joints and verdict of everybody (sam3d_ros/BodyArray)."),
    "body_meshes": (
        "~/meshes",
        "Out: the surface of everybody at every image (sam3d_ros/BodyMesh, latched).",
    ),
    "body_markers": (
        "~/markers",
        "Out: the same people for RViz (visualization_msgs/MarkerArray, latched).",
    ),
}

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
    "image_transport": "Transport of the colour image.",
    "depth_transport": "Transport of the depth image.",
    "relative_depth": "The depth image has no metric scale: save_scene takes that of the people.",
}
#: Launch argument -> what it sets for the people.
BODY_SETTINGS = {
    "body_checkpoint": "Folder of the weights of SAM 3D Body.",
    "body_mode": "full looks at hands from near, body does not and takes a third of the time.",
    "people_from": "What says where people are: labels, or detections (boxes) in their place.",
}
#: Settings of the objects that hold for the people, too, where they have another name.
SHARED = {"device": "body.device", "dtype": "body.dtype"}
#: Settings that are no text.
TYPES = {"steps": int, "refinement_steps": int, "hypotheses": int, "relative_depth": bool}
LISTS = {"outputs"}
CHOICES = {
    "reconstructor": ["", *RECONSTRUCTORS],
    "dtype": ["", *DTYPES],
    "memory": ["", *MEMORY],
    "image_transport": ["", "raw", "compressed"],
    "depth_transport": ["", "raw", "compressedDepth"],
    "relative_depth": ["", "true", "false"],
    "body_mode": ["", *BODY_MODES],
    "people_from": ["", "labels", "detections"],
}


def _argument(topic: str) -> str:
    """Name of the launch argument that remaps a topic."""
    return topic.removeprefix("~/").replace("/", "_")


def _remappings() -> list[tuple[str, LaunchConfiguration]]:
    """Inputs for all nodes; the rest for one each, because both have meshes and markers."""
    outputs = [(f"sam3d_objects:{topic}", _argument(topic)) for topic in OUTPUTS]
    # An input has one name in the whole process, whoever reads it: nodes that agree in their inputs share a source.
    outputs += [
        (f"sam3d_bodies:{topic}" if topic.startswith("~/") else topic, argument)
        for argument, (topic, _) in BODY_TOPICS.items()
    ]
    return [
        (topic, LaunchConfiguration(argument))
        for topic, argument in [*((topic, _argument(topic)) for topic in INPUTS), *outputs]
    ]


def _perception(context: LaunchContext) -> list[Node]:
    """The process of the graph, with the settings that were given: an empty one must not override the file."""
    given = {name: LaunchConfiguration(name).perform(context) for name in SETTINGS}
    parameters = {
        name: value.split(",") if name in LISTS else ParameterValue(value, value_type=TYPES.get(name, str))
        for name, value in given.items()
        if value
    }
    parameters |= {SHARED[name]: parameters[name] for name in SHARED.keys() & parameters.keys()}
    for name in BODY_SETTINGS:
        if value := LaunchConfiguration(name).perform(context):
            parameters[name.replace("body_", "body.")] = value
    if LaunchConfiguration("bodies").perform(context) == "true":
        parameters["nodes"] = ["sam3d_objects", "sam3d_bodies"]
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    return [
        Node(
            package="sam3d_ros",
            executable="perception",
            namespace=LaunchConfiguration("namespace"),
            additional_env=dict(PROCESS_ENVIRONMENT),
            output="screen",
            parameters=[LaunchConfiguration("params_file"), {"use_sim_time": use_sim_time, **parameters}],
            remappings=_remappings(),
            arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        )
    ]


def generate_launch_description() -> LaunchDescription:
    share = FindPackageShare("sam3d_ros")
    topics = [
        DeclareLaunchArgument(_argument(topic), default_value=topic, description=text)
        for topic, text in (INPUTS | OUTPUTS).items()
    ]
    topics += [
        DeclareLaunchArgument(argument, default_value=topic, description=text)
        for argument, (topic, text) in BODY_TOPICS.items()
    ]
    settings = [
        DeclareLaunchArgument(
            n, default_value="", choices=CHOICES.get(n), description=f"{d} Empty: as in params_file."
        )
        for n, d in (SETTINGS | BODY_SETTINGS).items()
    ]
    process = [
        DeclareLaunchArgument(
            "bodies",
            default_value="false",
            choices=["true", "false"],
            description="Run sam3d_bodies, too: skeletons and meshes of the instances called person. Needs the weights "
            "of SAM 3D Body. False: the nodes that params_file names.",
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([share, "config", "perception.yaml"]),
            description="Parameters of the nodes.",
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="false",
            choices=["true", "false"],
            description="Take the time from /clock, as with a played bag or a simulator.",
        ),
        DeclareLaunchArgument(
            "namespace", default_value="", description="Namespace of the nodes and their topics."
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="Least severity that is logged.",
        ),
        DeclareLaunchArgument(
            "fastdds_profile",
            default_value=PathJoinSubstitution([share, "config", "fastdds.xml"]),
            description="Fast DDS profile; the default one keeps whole images in shared memory.",
        ),
        DeclareLaunchArgument(
            "rviz",
            default_value="false",
            choices=["true", "false"],
            description="Start RViz with this package's view.",
        ),
        DeclareLaunchArgument(
            "rviz_config",
            default_value=PathJoinSubstitution([share, "config", "perception.rviz"]),
            description="RViz configuration.",
        ),
    ]
    environment = [
        SetEnvironmentVariable(name, LaunchConfiguration("fastdds_profile"))
        for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    ]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=LaunchConfiguration("namespace"),
        output="log",
        arguments=["-d", LaunchConfiguration("rviz_config")],
        remappings=[(topic, LaunchConfiguration(_argument(topic))) for topic in INPUTS],
        parameters=[{"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription(
        [*topics, *settings, *process, *environment, OpaqueFunction(function=_perception), rviz]
    )
