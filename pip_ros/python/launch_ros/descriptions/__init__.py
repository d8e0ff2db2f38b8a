"""What actions are told about nodes and their parameters."""

from launch.unsupported import absent_names
from launch_ros.parameter_descriptions import Parameter, ParameterFile, ParameterValue

__all__ = ["Parameter", "ParameterFile", "ParameterValue"]

__getattr__ = absent_names(__name__, {"ComposableLifecycleNode", "ComposableNode"})
