"""Actions about ROS nodes."""

from launch.unsupported import absent_names
from launch_ros.actions.lifecycle_node import LifecycleNode
from launch_ros.actions.node import Node
from launch_ros.actions.push_ros_namespace import PushRosNamespace
from launch_ros.actions.set_parameter import SetParameter
from launch_ros.actions.set_parameters_from_file import SetParametersFromFile
from launch_ros.actions.set_remap import SetRemap
from launch_ros.actions.set_use_sim_time import SetUseSimTime

__all__ = [
    "LifecycleNode",
    "Node",
    "PushRosNamespace",
    "SetParameter",
    "SetParametersFromFile",
    "SetRemap",
    "SetUseSimTime",
]

__getattr__ = absent_names(
    __name__,
    {
        "ComposableNodeContainer",
        "LifecycleTransition",
        "LoadComposableNodes",
        "ROSTimer",
        "RosTimer",
        "SetROSLogDir",
    },
)
