"""Stand-in for cv_bridge: ROS images to OpenCV arrays and back."""

from cv_bridge.core import CvBridge as CvBridge
from cv_bridge.core import CvBridgeError as CvBridgeError
