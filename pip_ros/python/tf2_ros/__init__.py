"""Stand-in for tf2_ros: transform buffer, listener and broadcasters."""

from tf2_py import ConnectivityException as ConnectivityException
from tf2_py import ExtrapolationException as ExtrapolationException
from tf2_py import InvalidArgumentException as InvalidArgumentException
from tf2_py import LookupException as LookupException
from tf2_py import TimeoutException as TimeoutException
from tf2_py import TransformException as TransformException

from tf2_ros.buffer import Buffer as Buffer
from tf2_ros.buffer_interface import BufferInterface as BufferInterface
from tf2_ros.static_transform_broadcaster import StaticTransformBroadcaster as StaticTransformBroadcaster
from tf2_ros.transform_broadcaster import TransformBroadcaster as TransformBroadcaster
from tf2_ros.transform_listener import TransformListener as TransformListener


def __getattr__(name: str) -> object:
    if name in ("BufferClient", "BufferServer", "TransformRegistration"):
        raise NotImplementedError(f"pip_ros' tf2_ros has no {name}: use Buffer with a TransformListener")
    raise AttributeError(f"module 'tf2_ros' has no attribute {name!r}")
