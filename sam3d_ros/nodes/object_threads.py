"""The two threads behind the node `sam3d_objects`: one follows the objects, one makes their meshes.

The tracking thread takes the newest frame there is; what came in between is passed over. Meshes are made beside it,
all new instances of a frame in one batch, so that known objects keep their rate. When a batch is finished, the last
frame is looked at once more: new objects need not wait for the next one, and a camera that sends a single image gets
its objects, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from sam3d_ros.nodes.boundary import Boundary, Cancelled
from sam3d_ros.nodes.frame_threads import CAMERA, FrameThreads, Job, Report, Source, TrackingFrame
from sam3d_ros.nodes.sinks.sink import Sink
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.pipeline import ObjectPipeline, Observation
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.perception.scenes.joint_scene import SeenObjects


@dataclass(eq=False)
class Order:
    """A reconstruction that somebody asked for.

    Attributes:
        instance_ids: values in the label image of the newest frame; empty = all.
        progress: told stage and share of the work done; may raise `Cancelled`.
        finished: called once at the end, whatever it is, by any thread.
        error: why there is no result; empty when there is one.
        note: what is to be known of the result; empty when it is as asked for.
        track_ids: the tracks of the instances.
        result: the first moment that shows the new meshes.
    """

    instance_ids: Sequence[int]
    progress: Progress
    finished: Callable[[Order], None]
    error: str = ""
    note: str = ""
    track_ids: tuple[int, ...] = ()
    result: SeenObjects | None = None


@dataclass(frozen=True)
class _Made:
    """What came of a batch: tracks with a new mesh, and the errors of instances that have none."""

    changed: frozenset[int]
    errors: tuple[Exception, ...]


class ObjectThreads(FrameThreads[tuple[Frame, Observation], SeenObjects]):
    """Runs a pipeline in two threads; the newest result is the frame that was observed last.

    Args:
        pipeline: what they run.
        source: where frames come from.
        sinks: where observations go, one after the other.
        report: what is told of the work.
        tracked_in: the frame of tracking.
        boundary: where failures end; None = one of its own, which tells the report.
    """

    def __init__(
        self,
        pipeline: ObjectPipeline,
        source: Source,
        sinks: Sequence[Sink[SeenObjects]],
        report: Report,
        tracked_in: TrackingFrame = CAMERA,
        boundary: Boundary | None = None,
    ) -> None:
        super().__init__(source, report, "object", boundary)
        self._pipeline = pipeline
        self._sinks = sinks
        self._tracked_in = tracked_in
        self._look_again = False
        self._order: Order | None = None
        self._made: Order | None = None
        self._is_begun = False
        # How often all tracks had ended at once: what is made for those of before is for nobody.
        self._clears = 0

    def stop(self) -> None:
        super().stop()
        for order in (self._order, self._made):
            if order is not None:
                self._finish(order, "the node was deactivated")

    def order(self, order: Order) -> bool:
        """Hand over an order; False while another one is under way."""
        with self._condition:
            if self.is_ordered or self._stop.is_set():
                return False
            self._order = order
            self._condition.notify_all()
            return True

    def cancel(self, order: Order) -> None:
        """Take an order back that is not begun; one that is ends at its next sign of progress."""
        with self._condition:
            is_waiting = self._order is order and not self._is_begun
        if is_waiting:
            self._finish(order, "cancelled")

    @property
    def is_ordered(self) -> bool:
        """Whether an order is under way."""
        return self._order is not None or self._made is not None

    def _next_frame(self) -> Frame | None:
        with self._condition:
            again, self._look_again = self._look_again, False
        return self.newest[0] if again and self.newest is not None else super()._next_frame()

    def _track(self, frame: Frame) -> None:
        # An order made before this look is shown by it; one that is made meanwhile may not be.
        made = self._made
        failed = partial(self._boundary.tell, "following of an object")
        observation = self._pipeline.observe(frame, failed=failed)
        self.newest = (frame, observation)
        self._clears += observation.cleared
        with self._condition:
            if observation.requests and not self._is_busy:
                wanted = [request.evidence for request in observation.requests]
                self._ask(partial(self._run_batch, wanted, self._clears))
        seen = self._show(frame, observation)
        if made is not None:
            made.result = seen
            self._finish(made, "")

    def _show(self, frame: Frame, observation: Observation) -> SeenObjects:
        began, last = time.perf_counter(), self._shown
        seen = SeenObjects(
            observation.stamp,
            self._tracked_in.of(frame),
            bool(self._tracked_in.name),
            frame.frame_id,
            frame.is_metric,
            observation.objects,
            self.session,
            last.revision + 1 if last is not None and last.stamp == observation.stamp else 1,
            observation.surfaces,
        )
        self._show_all(self._sinks, seen)
        self._report.reached("objects", observation.stamp)
        self._report.spent("publish", 1e3 * (time.perf_counter() - began))
        for stage, milliseconds in observation.milliseconds.items():
            self._report.spent("track" if stage == "total" else stage, milliseconds)
        self._report.observed(observation.faults, observation.stamp)
        return seen

    def _next_job(self) -> Job | None:
        return super()._next_job() if self._order is None else partial(self._fill, self._order)

    def _run_batch(self, evidence: Sequence[Evidence], clears: int) -> None:
        def go_on(_stage: str, _share: float) -> None:
            # A recording that is shorter than its batch would otherwise never show an object: each loop would wait
            # for the meshes of the one before.
            if self._clears != clears:
                raise Cancelled

        try:
            self._make(evidence, go_on)
        finally:
            with self._condition:
                # Requests that came meanwhile were not taken down: the newest frame asks again, or shows what is new.
                self._look_again = True

    def _fill(self, order: Order) -> None:
        with self._condition:
            if self._order is not order:
                return  # taken back
            self._is_begun = True
        newest = self.newest
        if newest is None:
            self._finish(order, "no frame has been seen yet: check that image, labels and camera_info arrive")
            return
        try:
            error = self._boundary.attempt("order", lambda: self._serve(order, newest[1]))
        except Cancelled:
            self._finish(order, "cancelled")
            return
        if error is not None:
            self._finish(order, f"the reconstruction failed: {error}")

    def _serve(self, order: Order, observation: Observation) -> None:
        """Make what is ordered anew; the frame that shows it ends the order, or a reason against it does."""
        track_of = {piece.instance_id: track for track, piece in observation.evidence.items()}
        instance_ids = list(order.instance_ids) or sorted(track_of)
        unknown = [instance for instance in instance_ids if instance not in track_of]
        if unknown or not instance_ids:
            wanted = f"instances {unknown} are not in" if unknown else "there is no instance in"
            self._finish(order, f"{wanted} the newest frame, which has {sorted(track_of)}")
            return
        made = self._make(
            [observation.evidence[track_of[instance]] for instance in instance_ids], order.progress
        )
        if len(made.errors) == len(instance_ids):
            self._finish(order, f"the reconstruction failed: {made.errors[-1]}")
            return
        order.track_ids = tuple(track_of[instance] for instance in instance_ids)
        kept = [instance for instance in instance_ids if track_of[instance] not in made.changed]
        if kept:
            order.note = (
                f"instances {kept} keep the mesh that they have: the new one is judged no better, or failed"
            )
        with self._condition:
            if self._order is order:
                self._order, self._made, self._look_again = None, order, True

    def _make(self, evidence: Sequence[Evidence], progress: Progress | None) -> _Made:
        """Give evidence a mesh."""
        errors: list[Exception] = []

        def report(stage: str, share: float) -> None:
            self._go_on(stage, share)
            if progress is not None:
                progress(stage, share)

        began = time.perf_counter()

        def failed(error: Exception, details: str) -> None:
            errors.append(error)
            self._boundary.tell("reconstruction of an instance", error, details)

        estimates = self._pipeline.reconstruct(evidence, progress=report, failed=failed)
        self._go_on("done", 1.0)
        changed = self._pipeline.integrate(evidence, estimates)
        self._report.finished(len(evidence), 1e3 * (time.perf_counter() - began))
        return _Made(frozenset(changed), tuple(errors))

    def _finish(self, order: Order, error: str) -> None:
        with self._condition:
            if order not in (self._order, self._made):
                return  # it has its answer
            self._order, self._made, self._is_begun = None, None, False
        order.error = error
        order.finished(order)
