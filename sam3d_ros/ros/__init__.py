"""Between ROS messages and the plain types of the perception room."""
