"""ROS nodes: subscriptions, publishers and lifecycle."""
