"""What the actions of nodes are made with."""

from launch_ros.utilities.namespaces import is_namespace_absolute, make_namespace_absolute, prefix_namespace

__all__ = ["is_namespace_absolute", "make_namespace_absolute", "prefix_namespace"]
