"""The two threads behind the node `sam3d_bodies`: one follows the people, one poses them.

The tracking thread takes the newest frame there is. The other one poses everybody in the newest sighting there is; what
came in between is passed over, so that the answer is never older than one reconstruction.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Protocol

from sam3d_ros.nodes.frame_threads import FRAME_ERRORS, Cancelled, FrameThreads, Listener
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.pipeline import BodyPipeline, Sighting, TrackedBody


class BodyListener(Listener, Protocol):
    """What the threads report to; called from either of them."""

    def sighted(self, sighting: Sighting, milliseconds: float) -> None:
        """People were found in a frame."""

    def posed(self, sighting: Sighting, bodies: tuple[TrackedBody, ...], milliseconds: float) -> None:
        """The people of a frame were posed."""


class BodyThreads(FrameThreads[tuple[Sighting, tuple[TrackedBody, ...]]]):
    """Runs a pipeline in two threads; the newest result is the people that were posed last.

    Args:
        pipeline: what they run.
        listener: where frames come from and results go.
    """

    _listener: BodyListener

    def __init__(self, pipeline: BodyPipeline, listener: BodyListener) -> None:
        super().__init__(listener, "people")
        self._pipeline = pipeline

    def _track(self, frame: Frame) -> None:
        began = time.perf_counter()
        try:
            sighting = self._pipeline.observe(frame)
        except FRAME_ERRORS as error:
            self._give_up("tracking", error)
            return
        self._listener.sighted(sighting, 1e3 * (time.perf_counter() - began))
        self._ask(partial(self._pose, sighting))

    def _pose(self, sighting: Sighting) -> None:
        began = time.perf_counter()
        try:
            bodies = self._pipeline.reconstruct(sighting, progress=self._go_on)
        except Cancelled:
            return
        except FRAME_ERRORS as error:
            self._give_up("reconstruction", error, rest=True)
            return
        self.newest = (sighting, bodies)
        self._listener.posed(sighting, bodies, 1e3 * (time.perf_counter() - began))
