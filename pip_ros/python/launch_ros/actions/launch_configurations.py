"""Launch configurations that hold what applies to all nodes of a scope."""

NAMESPACE = "ros_namespace"  # str
GLOBAL_PARAMETERS = "global_params"  # list of Path (a file) and of (name, value)
GLOBAL_REMAPPINGS = "ros_remaps"  # list of (from, to)
