"""What a failed look-up raises; the names and the hierarchy are those of tf2."""

from __future__ import annotations


class TransformException(Exception):
    """Base of every tf2 error."""


class LookupException(TransformException):
    """A frame that nobody has published was named."""


class ConnectivityException(TransformException):
    """The two frames belong to trees that no transform joins."""


class ExtrapolationException(TransformException):
    """The requested stamp lies outside what the buffer holds for a frame on the way."""


class InvalidArgumentException(TransformException):
    """A frame name is empty or begins with a slash."""


class TimeoutException(TransformException):
    """A transform server did not answer in time."""
