"""The two threads behind the node `sam3d_bodies`: one follows the people, one poses them.

The tracking thread takes the newest frame there is. The other one poses everybody in the newest sighting there is; what
came in between is passed over, so that the answer is never older than one reconstruction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from sam3d_ros.nodes.boundary import Boundary
from sam3d_ros.nodes.frame_threads import CAMERA, FrameThreads, Report, Source, TrackingFrame
from sam3d_ros.nodes.sinks.sink import Sink
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.pipeline import BodyPipeline, Sighting, TrackedBody
from sam3d_ros.perception.scenes.joint_scene import SeenPeople


class BodyThreads(FrameThreads[tuple[Sighting, tuple[TrackedBody, ...]], SeenPeople]):
    """Runs a pipeline in two threads; the newest result is the people that were posed last.

    Args:
        pipeline: what they run.
        source: where frames come from.
        sinks: where the people go, one after the other.
        report: what is told of the work.
        tracked_in: the frame of tracking.
        boundary: where failures end; None = one of its own, which tells the report.
    """

    def __init__(
        self,
        pipeline: BodyPipeline,
        source: Source,
        sinks: Sequence[Sink[SeenPeople]],
        report: Report,
        tracked_in: TrackingFrame = CAMERA,
        boundary: Boundary | None = None,
    ) -> None:
        super().__init__(source, report, "people", boundary)
        self._pipeline = pipeline
        self._sinks = sinks
        self._tracked_in = tracked_in

    def _track(self, frame: Frame) -> None:
        began = time.perf_counter()
        sighting = self._pipeline.observe(frame)
        self._report.spent("track", 1e3 * (time.perf_counter() - began))
        self._report.observed(sighting.faults, sighting.frame.stamp)
        self._ask(partial(self._pose, sighting))

    def _pose(self, sighting: Sighting) -> None:
        began = time.perf_counter()
        failed = partial(self._boundary.tell, "reconstruction of a person")
        bodies = self._pipeline.reconstruct(sighting, progress=self._go_on, failed=failed)
        self._go_on("done", 1.0)
        self.newest = (sighting, bodies)
        if bodies:
            self._report.spent("reconstruct", 1e3 * (time.perf_counter() - began))
        self._show(sighting, bodies)

    def _show(self, sighting: Sighting, bodies: tuple[TrackedBody, ...]) -> None:
        frame, began = sighting.frame, time.perf_counter()
        seen = SeenPeople(
            frame,
            self._tracked_in.of(frame),
            bool(self._tracked_in.name),
            bodies,
            sighting.alive,
            self.session,
        )
        self._show_all(self._sinks, seen)
        self._report.spent("publish", 1e3 * (time.perf_counter() - began))
        self._report.reached("bodies", frame.stamp)
