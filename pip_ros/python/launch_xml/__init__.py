"""Launch files in XML, where no ROS is installed."""
