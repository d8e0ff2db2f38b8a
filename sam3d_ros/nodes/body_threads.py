"""The two threads behind the node `sam3d_bodies`: one follows the people, one poses them.

The tracking thread takes the newest frame there is. The other one poses everybody in the newest sighting there is; what
came in between is passed over, so that the answer is never older than one reconstruction.
"""

from __future__ import annotations

import threading
import time
import traceback
from typing import Protocol

from sam3d_ros.nodes.object_threads import FRAME_ERRORS, LOOK_PERIOD, RETRY_PAUSE, Cancelled
from sam3d_ros.perception.body_tracking import BodyPipeline, Sighting, TrackedBody
from sam3d_ros.perception.frame import Frame


class BodyListener(Protocol):
    """What the threads report to; called from either of them."""

    def next_frame(self, timeout: float) -> Frame | None:
        """The newest complete frame, or None when none comes in time; called by the tracking thread."""

    def sighted(self, sighting: Sighting, milliseconds: float) -> None:
        """People were found in a frame."""

    def posed(self, sighting: Sighting, bodies: tuple[TrackedBody, ...], milliseconds: float) -> None:
        """The people of a frame were posed."""

    def failed(self, stage: str, error: Exception, details: str) -> None:
        """A frame was given up; `details` is the traceback."""


class BodyThreads:
    """Runs a pipeline in two threads.

    Args:
        pipeline: what they run.
        listener: where frames come from and results go.
    """

    def __init__(self, pipeline: BodyPipeline, listener: BodyListener) -> None:
        self._pipeline = pipeline
        self._listener = listener
        self._condition = threading.Condition()
        self._stopping = False
        self._waiting: Sighting | None = None
        self._newest: tuple[Sighting, tuple[TrackedBody, ...]] | None = None
        self._threads: tuple[threading.Thread, ...] = ()

    @property
    def newest(self) -> tuple[Sighting, tuple[TrackedBody, ...]] | None:
        """The newest people that were posed."""
        return self._newest

    def start(self) -> None:
        """Start both threads, at first or again; tracks go on where they were."""
        self._stopping = False
        self._waiting = self._newest = None
        self._threads = (
            threading.Thread(target=self._track, name="people tracking", daemon=True),
            threading.Thread(target=self._pose, name="people reconstruction", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads; people who are being posed are given up at the next sign of progress."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _track(self) -> None:
        while not self._stopping:
            frame = self._listener.next_frame(LOOK_PERIOD)
            if frame is None:
                continue
            began = time.perf_counter()
            try:
                sighting = self._pipeline.observe(frame)
            except FRAME_ERRORS as error:
                self._listener.failed("tracking", error, traceback.format_exc())
                continue
            self._listener.sighted(sighting, 1e3 * (time.perf_counter() - began))
            with self._condition:
                self._waiting = sighting
                self._condition.notify_all()

    def _pose(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopping or self._waiting)
                if self._stopping:
                    return
                sighting, self._waiting = self._waiting, None
            if sighting is not None:
                self._run(sighting)

    def _run(self, sighting: Sighting) -> None:
        began = time.perf_counter()
        try:
            bodies = self._pipeline.reconstruct(sighting, progress=self._progress)
        except Cancelled:
            return
        except FRAME_ERRORS as error:
            self._listener.failed("reconstruction", error, traceback.format_exc())
            with self._condition:
                self._condition.wait_for(lambda: self._stopping, timeout=RETRY_PAUSE)
            return
        self._newest = (sighting, bodies)
        self._listener.posed(sighting, bodies, 1e3 * (time.perf_counter() - began))

    def _progress(self, stage: str, share: float) -> None:
        if self._stopping:
            raise Cancelled
