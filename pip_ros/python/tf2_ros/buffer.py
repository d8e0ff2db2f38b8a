"""A transform buffer whose look-ups can wait, in a thread or in a coroutine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic, sleep

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
from tf2_py import BufferCore
from tf2_py._times import SomeTime

from tf2_ros.buffer_interface import BufferInterface

# How often a waiting look-up tries again.
_POLL_SECONDS = 0.01


class Buffer(BufferCore, BufferInterface):
    """Stores transforms and looks them up.

    The waits of `can_transform` and `lookup_transform` block the calling thread: somebody else has to spin
    the listener's node meanwhile (`TransformListener(..., spin_thread=True)` or another executor thread).
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        """Make an empty buffer.

        Args:
            cache_time: how long samples are remembered; 10 s by default.
            node: would offer the tf2_frames service; not supported here.
        """
        if node is not None:
            raise NotImplementedError(
                "pip_ros' tf2_ros does not offer the tf2_frames service: leave node out"
            )
        super().__init__(cache_time)
        self._new_data_callbacks: list[Callable[[], None]] = []
        self._callbacks_lock = threading.Lock()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a sample of a moving frame and wake whoever waits for it."""
        super().set_transform(transform, authority)
        self._call_new_data_callbacks()

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Set the pose of a frame that does not move and wake whoever waits for it."""
        super().set_transform_static(transform, authority)
        self._call_new_data_callbacks()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: SomeTime, timeout: Duration | None = None
    ) -> TransformStamped:
        """Return target_from_source at a time, waiting up to the timeout for it.

        Args:
            time: when, as a stamp of a message or a time of rclpy; zero means the latest time that all frames on
                the way have.
            timeout: how long to wait; not at all by default.

        Raises:
            LookupException, ConnectivityException, ExtrapolationException, InvalidArgumentException: as
                `BufferCore.lookup_transform_core` does, once the timeout is over.
        """
        if timeout is not None:
            self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: SomeTime,
        source_frame: str,
        source_time: SomeTime,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> TransformStamped:
        """Return target (at target_time) from source (at source_time) by way of a frame fixed in between.

        Raises: as `lookup_transform`.
        """
        if timeout is not None:
            self.can_transform_full(
                target_frame, target_time, source_frame, source_time, fixed_frame, timeout
            )
        return self.lookup_transform_full_core(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    async def lookup_transform_async(
        self, target_frame: str, source_frame: str, time: SomeTime
    ) -> TransformStamped:
        """Return target_from_source as soon as it can be told."""
        await self.wait_for_transform_async(target_frame, source_frame, time)
        return self.lookup_transform_core(target_frame, source_frame, time)

    async def lookup_transform_full_async(
        self,
        target_frame: str,
        target_time: SomeTime,
        source_frame: str,
        source_time: SomeTime,
        fixed_frame: str,
    ) -> TransformStamped:
        """Return what `lookup_transform_full` returns as soon as it can be told."""
        await self.wait_for_transform_full_async(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )
        return self.lookup_transform_full_core(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: SomeTime,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Return whether `lookup_transform` would succeed within the timeout, on request with the reason."""
        result = _poll(lambda: self.can_transform_core(target_frame, source_frame, time), timeout)
        return result if return_debug_tuple else result[0]

    def can_transform_full(
        self,
        target_frame: str,
        target_time: SomeTime,
        source_frame: str,
        source_time: SomeTime,
        fixed_frame: str,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Return whether `lookup_transform_full` would succeed within the timeout."""
        result = _poll(
            lambda: self.can_transform_full_core(
                target_frame, target_time, source_frame, source_time, fixed_frame
            ),
            timeout,
        )
        return result if return_debug_tuple else result[0]

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: SomeTime) -> Future:
        """Return a future that is done (True) once the transform is available."""
        return self._future_of(lambda: self.can_transform_core(target_frame, source_frame, time)[0])

    def wait_for_transform_full_async(
        self,
        target_frame: str,
        target_time: SomeTime,
        source_frame: str,
        source_time: SomeTime,
        fixed_frame: str,
    ) -> Future:
        """Return a future that is done (True) once the transform over a fixed frame is available."""
        return self._future_of(
            lambda: self.can_transform_full_core(
                target_frame, target_time, source_frame, source_time, fixed_frame
            )[0]
        )

    def _future_of(self, available: Callable[[], bool]) -> Future:
        future: Future = Future()

        def on_new_data() -> None:
            if not future.done() and available():
                future.set_result(True)

        def forget(_: Future) -> None:
            with self._callbacks_lock:
                if on_new_data in self._new_data_callbacks:
                    self._new_data_callbacks.remove(on_new_data)

        with self._callbacks_lock:
            self._new_data_callbacks.append(on_new_data)
        future.add_done_callback(forget)
        on_new_data()  # after registering: data that arrives in between is not missed
        return future

    def _call_new_data_callbacks(self) -> None:
        with self._callbacks_lock:
            callbacks = list(self._new_data_callbacks)
        for callback in callbacks:
            callback()


def _poll(attempt: Callable[[], tuple[bool, str]], timeout: Duration | None) -> tuple[bool, str]:
    """Try until it succeeds or the timeout is over (by the system's clock, as in tf2_ros)."""
    result = attempt()
    if timeout is None or timeout.nanoseconds <= 0:
        return result
    deadline = monotonic() + timeout.nanoseconds / 1e9
    while not result[0] and monotonic() < deadline:
        sleep(_POLL_SECONDS)
        result = attempt()
    return result
