"""Launch files in YAML, where no ROS is installed."""
