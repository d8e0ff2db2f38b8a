"""The command ``ros2``, as far as it is needed to run and look at nodes, where no ROS is installed."""
