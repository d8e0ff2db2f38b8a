"""The tree of frames over time, and look-ups in it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Container

import rclpy.logging
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time

from tf2_py._exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from tf2_py._rigid import IDENTITY, Rigid, compose, invert
from tf2_py._time_cache import StaticCache, TimeCache
from tf2_py._times import SomeTime, nanoseconds

DEFAULT_CACHE_TIME_NS = 10_000_000_000
# |1 - |q|^2| of an accepted rotation, as in tf2.
QUATERNION_NORMALIZATION_TOLERANCE = 10e-3
# A chain longer than this is taken for a loop, as in tf2.
MAX_GRAPH_DEPTH = 1000


class BufferCore:
    """Stores transforms and answers look-ups; every method may be called from any thread."""

    def __init__(self, cache_time: Duration | None = None) -> None:
        """Make an empty buffer.

        Args:
            cache_time: how far back of its newest sample a frame is remembered; 10 s by default.
        """
        self._cache_time_ns = DEFAULT_CACHE_TIME_NS if cache_time is None else cache_time.nanoseconds
        self._caches: dict[str, TimeCache | StaticCache] = {}
        self._authorities: dict[str, str] = {}
        self._frames: dict[str, None] = {}  # every name ever seen, in order
        self._lock = threading.RLock()

    # -- input ---------------------------------------------------------------------------------------

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a sample of a moving frame; a malformed one is logged and ignored, as in tf2."""
        self._set(transform, authority, False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Set the pose of a frame that does not move."""
        self._set(transform, authority, True)

    def clear(self) -> None:
        """Forget all samples of moving frames; frame names and static transforms stay."""
        with self._lock:
            for cache in self._caches.values():
                cache.clear()

    def _set(self, transform: TransformStamped, authority: str, is_static: bool) -> None:
        parent = _without_slash(transform.header.frame_id)
        child = _without_slash(transform.child_frame_id)
        t, q = transform.transform.translation, transform.transform.rotation
        pose: Rigid = (t.x, t.y, t.z, q.x, q.y, q.z, q.w)
        stamp = transform.header.stamp.sec * 1_000_000_000 + transform.header.stamp.nanosec
        refusal = _refusal(parent, child, pose)
        if refusal:
            _logger().error(
                f"Ignoring transform for child_frame_id '{child}' from '{authority}' because {refusal}"
            )
            return
        with self._lock:
            cache = self._caches.get(child)
            if cache is None or cache.is_static != is_static:
                cache = StaticCache() if is_static else TimeCache(self._cache_time_ns)
                self._caches[child] = cache
            self._frames.setdefault(child)
            self._frames.setdefault(parent)
            accepted = cache.insert(stamp, (parent, pose))
            if accepted:
                self._authorities[child] = authority
        if not accepted:
            _logger().warning(
                f"TF_OLD_DATA ignoring data from the past for frame {child} at time {stamp / 1e9:.6f}, given "
                f"by {authority}: the buffer is ahead of it by more than its cache time",
                throttle_duration_sec=1.0,
            )

    # -- look-ups ------------------------------------------------------------------------------------

    def lookup_transform_core(self, target_frame: str, source_frame: str, time: SomeTime) -> TransformStamped:
        """Return target_from_source at a time; time 0 means the latest that all frames on the way have.

        Raises:
            InvalidArgumentException: a name is empty or begins with a slash.
            LookupException: a frame is unknown.
            ConnectivityException: the frames are in separate trees.
            ExtrapolationException: the time is outside what the buffer holds.
        """
        pose, stamp = self._checked_lookup(target_frame, source_frame, nanoseconds(time))
        return _message(target_frame, source_frame, stamp, pose)

    def lookup_transform_full_core(
        self,
        target_frame: str,
        target_time: SomeTime,
        source_frame: str,
        source_time: SomeTime,
        fixed_frame: str,
    ) -> TransformStamped:
        """Return target (at target_time) from source (at source_time), with fixed_frame constant in between.

        Raises: as `lookup_transform_core`.
        """
        with self._lock:
            self._validate("lookupTransform argument target_frame", target_frame)
            self._validate("lookupTransform argument source_frame", source_frame)
            self._validate("lookupTransform argument fixed_frame", fixed_frame)
            fixed_from_source, _ = self._lookup(fixed_frame, source_frame, nanoseconds(source_time))
            target_from_fixed, stamp = self._lookup(target_frame, fixed_frame, nanoseconds(target_time))
        return _message(target_frame, source_frame, stamp, compose(target_from_fixed, fixed_from_source))

    def can_transform_core(self, target_frame: str, source_frame: str, time: SomeTime) -> tuple[bool, str]:
        """Return whether `lookup_transform_core` would succeed, and otherwise why not."""
        return _possible(lambda: self._checked_lookup(target_frame, source_frame, nanoseconds(time)))

    def can_transform_full_core(
        self,
        target_frame: str,
        target_time: SomeTime,
        source_frame: str,
        source_time: SomeTime,
        fixed_frame: str,
    ) -> tuple[bool, str]:
        """Return whether `lookup_transform_full_core` would succeed, and otherwise why not."""
        return _possible(
            lambda: self.lookup_transform_full_core(
                target_frame, target_time, source_frame, source_time, fixed_frame
            )
        )

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """Return the latest stamp that every moving frame between the two has reached (0: all are static).

        Raises: as `lookup_transform_core`.
        """
        with self._lock:
            self._validate("get_latest_common_time argument target_frame", target_frame)
            self._validate("get_latest_common_time argument source_frame", source_frame)
            return Time(nanoseconds=self._latest_common_stamp(target_frame, source_frame))

    def lookup_twist_core(self, *args: object) -> None:
        raise NotImplementedError("pip_ros' tf2_py does not derive twists: difference two look-ups instead")

    def _checked_lookup(self, target: str, source: str, stamp: int) -> tuple[Rigid, int]:
        with self._lock:
            self._validate("lookupTransform argument target_frame", target)
            self._validate("lookupTransform argument source_frame", source)
            return self._lookup(target, source, stamp)

    def _lookup(self, target: str, source: str, stamp: int) -> tuple[Rigid, int]:
        if target == source:
            cache = self._caches.get(target)
            return IDENTITY, cache.latest_stamp if stamp == 0 and cache is not None else stamp
        if stamp == 0:
            stamp = self._latest_common_stamp(target, source)
        ancestors: dict[str, Rigid] = {}  # frame_from_source of every frame from the source upwards
        frame, pose, blocked = source, IDENTITY, ""
        while True:
            ancestors[frame] = pose
            if frame == target:
                return pose, stamp
            cache = self._caches.get(frame)
            if cache is None:
                break
            sample = cache.at(stamp)
            if isinstance(sample, str):  # not yet an error: the way from the target may join below
                blocked = sample
                break
            frame, pose = sample[0], compose(sample[1], pose)
            _refuse_loop(ancestors, frame)
        frame, pose, visited = target, IDENTITY, 0
        while frame not in ancestors:
            cache = self._caches.get(frame)
            if cache is None:
                break
            sample = cache.at(stamp)
            if isinstance(sample, str):
                raise ExtrapolationException(f"{sample}, {_when(source, target)}")
            frame, pose = sample[0], compose(sample[1], pose)
            visited += 1
            if visited > MAX_GRAPH_DEPTH:
                raise LookupException("The tf tree is invalid because it contains a loop.")
        else:
            return compose(invert(pose), ancestors[frame]), stamp
        if blocked:
            raise ExtrapolationException(f"{blocked}, {_when(source, target)}")
        raise _unconnected(target, source)

    def _latest_common_stamp(self, target: str, source: str) -> int:
        if target == source:
            cache = self._caches.get(target)
            return 0 if cache is None else cache.latest_stamp
        chain, stamps = self._ascend(source)
        other, other_stamps = self._ascend(target)
        places = {frame: i for i, frame in enumerate(chain)}
        for i, frame in enumerate(other):
            if frame in places:
                moving = [s for s in stamps[: places[frame]] + other_stamps[:i] if s != 0]
                return min(moving, default=0)
        raise _unconnected(target, source)

    def _ascend(self, frame: str) -> tuple[list[str], list[int]]:
        """Follow the latest parents up to the root: the frames, and the latest stamp of each but the last."""
        chain: dict[str, None] = {frame: None}
        stamps: list[int] = []
        while True:
            cache = self._caches.get(frame)
            parent = None if cache is None else cache.latest_parent
            if cache is None or parent is None:
                return list(chain), stamps
            stamps.append(cache.latest_stamp)
            _refuse_loop(chain, parent)
            chain[parent] = None
            frame = parent

    # -- description ---------------------------------------------------------------------------------

    def all_frames_as_yaml(self) -> str:
        """Return parent, broadcaster, rate (Hz) and stamps (s) of every frame that has a parent, as YAML."""
        lines: list[str] = []
        with self._lock:
            for frame in self._frames:
                cache = self._caches.get(frame)
                if cache is None or cache.latest_parent is None:
                    continue
                length = (cache.latest_stamp - cache.oldest_stamp) / 1e9
                lines += [
                    f"{frame}: ",
                    f"  parent: '{cache.latest_parent}'",
                    f"  broadcaster: '{self._authorities[frame]}'",
                    f"  rate: {len(cache) / max(length, 1e-4):.3f}",
                    f"  most_recent_transform: {cache.latest_stamp / 1e9:.6f}",
                    f"  oldest_transform: {cache.oldest_stamp / 1e9:.6f}",
                    f"  buffer_length: {length:.3f}",
                ]
        return "\n".join(lines) + "\n" if lines else "{}"

    def all_frames_as_string(self) -> str:
        """Return one line per frame that has a parent."""
        with self._lock:
            return "".join(
                f"Frame {frame} exists with parent {self._caches[frame].latest_parent or 'NO_PARENT'}.\n"
                for frame in self._frames
                if frame in self._caches
            )

    def _frameExists(self, frame: str) -> bool:  # noqa: N802 - the name that tf2_py gives it
        return frame in self._frames

    def _getFrameStrings(self) -> list[str]:  # noqa: N802 - the name that tf2_py gives it
        with self._lock:
            return list(self._frames)

    def _validate(self, argument: str, frame: str) -> None:
        if not frame:
            raise InvalidArgumentException(
                f"Invalid argument passed to {argument} in tf2 frame_ids cannot be empty"
            )
        if frame[0] == "/":
            raise InvalidArgumentException(
                f"Invalid argument \"{frame}\" passed to {argument} in tf2 frame_ids cannot start with a '/'"
            )
        if frame not in self._frames:
            raise LookupException(f'"{frame}" passed to {argument} does not exist. ')


def _possible(look: Callable[[], object]) -> tuple[bool, str]:
    """Return whether a look-up succeeds, and otherwise why not."""
    try:
        look()
    except TransformException as error:
        return False, str(error)
    return True, ""


def _without_slash(frame: str) -> str:
    return frame[1:] if frame.startswith("/") else frame


def _refusal(parent: str, child: str, pose: Rigid) -> str:
    """Return why tf2 takes no such transform, or an empty text."""
    if not child:
        return "its child_frame_id is not set (TF_NO_CHILD_FRAME_ID)"
    if not parent:
        return "its frame_id is not set (TF_NO_FRAME_ID)"
    if parent == child:
        return "its frame_id and child_frame_id are the same (TF_SELF_TRANSFORM)"
    if any(math.isnan(v) for v in pose):
        return f"of a nan value in the transform {pose} (TF_NAN_INPUT)"
    norm = sum(v * v for v in pose[3:])
    if not abs(norm - 1.0) < QUATERNION_NORMALIZATION_TOLERANCE:
        return f"of an invalid quaternion in the transform {pose[3:]} (TF_DENORMALIZED_QUATERNION)"
    return ""


def _refuse_loop(visited: Container[str], frame: str) -> None:
    if frame in visited:
        raise LookupException(f"The tf tree is invalid because it contains a loop. It passes {frame} twice.")


def _unconnected(target: str, source: str) -> ConnectivityException:
    return ConnectivityException(
        f"Could not find a connection between '{target}' and '{source}' because they are not part of the "
        "same tree.Tf has two or more unconnected trees."
    )


def _when(source: str, target: str) -> str:
    return f"when looking up transform from frame [{source}] to frame [{target}]"


def _message(target: str, source: str, stamp: int, pose: Rigid) -> TransformStamped:
    message = TransformStamped()
    message.header.frame_id = target
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
    message.child_frame_id = source
    t, q = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z, q.x, q.y, q.z, q.w = pose
    return message


def _logger() -> rclpy.logging.RcutilsLogger:
    return rclpy.logging.get_logger("tf2_py")
