"""Actions about ROS nodes."""

from launch.unsupported import absent_names
from launch_ros.actions.lifecycle_node import LifecycleNode
from launch_ros.actions.node import Node
from launch_ros.actions.push_ros_namespace import PushROSNamespace, PushRosNamespace
from launch_ros.actions.set_parameter import SetParameter
from launch_ros.actions.set_parameters_from_file import SetParametersFromFile
from launch_ros.actions.set_remap import SetRemap

__all__ = [
    "LifecycleNode",
    "Node",
    "PushROSNamespace",
    "PushRosNamespace",
    "SetParameter",
    "SetParametersFromFile",
    "SetRemap",
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
    {"SetUseSimTime": 'in Jazzy it does not reach the nodes, SetParameter("use_sim_time", ...) does'},
)
