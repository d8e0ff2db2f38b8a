"""Stand-in for tf2_py: the transform buffer of tf2, in pure Python."""

from tf2_py._buffer_core import BufferCore as BufferCore
from tf2_py._exceptions import ConnectivityException as ConnectivityException
from tf2_py._exceptions import ExtrapolationException as ExtrapolationException
from tf2_py._exceptions import InvalidArgumentException as InvalidArgumentException
from tf2_py._exceptions import LookupException as LookupException
from tf2_py._exceptions import TimeoutException as TimeoutException
from tf2_py._exceptions import TransformException as TransformException
