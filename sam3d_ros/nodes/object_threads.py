"""The two threads behind the node `sam3d_objects`: one follows the objects, one makes their meshes.

The tracking thread takes the newest frame there is; what came in between is passed over. Meshes are made beside it,
all new instances of a frame in one batch, so that known objects keep their rate. When a batch is finished, the last
frame is looked at once more: new objects need not wait for the next one, and a camera that sends a single image gets
its objects, too.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.pipeline import ObjectPipeline, Observation
from sam3d_ros.perception.reconstructor import Progress

#: What a frame may raise that the next frame need not: numbers out of bounds, a solver or an allocator that gave up.
FRAME_ERRORS = (ValueError, ArithmeticError, RuntimeError, MemoryError)
#: How long the tracking thread waits for a frame before it looks what else there is to do, seconds.
LOOK_PERIOD = 0.01
#: Pause after a failed batch, seconds: the same instances will be asked for again.
RETRY_PAUSE = 1.0


class Listener(Protocol):
    """What the threads report to; called from either of them."""

    def next_frame(self, timeout: float) -> Frame | None:
        """The newest complete frame, or None when none comes in time; called by the tracking thread."""

    def observed(self, frame: Frame, observation: Observation) -> None:
        """Objects were followed into a frame."""

    def reconstructed(self, count: int, milliseconds: float) -> None:
        """A batch of `count` instances was finished."""

    def failed(self, stage: str, error: Exception, details: str) -> None:
        """A frame or batch was given up; `details` is the traceback."""


class Cancelled(Exception):
    """Raised through a reconstruction that nobody wants any more."""


@dataclass(eq=False)
class Order:
    """A reconstruction that somebody asked for.

    Attributes:
        instance_ids: values in the label image of the newest frame; empty = all.
        progress: told stage and share of the work done; may raise `Cancelled`.
        finished: called once at the end, whatever it is, by any thread.
        error: why there is no result; empty when there is one.
        track_ids: the tracks of the instances.
        result: the frame and the observation that first shows the new meshes.
    """

    instance_ids: Sequence[int]
    progress: Progress
    finished: Callable[[Order], None]
    error: str = ""
    track_ids: tuple[int, ...] = ()
    result: tuple[Frame, Observation] | None = None


class ObjectThreads:
    """Runs a pipeline in two threads.

    Args:
        pipeline: what they run.
        listener: where frames come from and results go.
    """

    def __init__(self, pipeline: ObjectPipeline, listener: Listener) -> None:
        self._pipeline = pipeline
        self._listener = listener
        self._condition = threading.Condition()
        self._stopping = False
        self._look_again = False
        self._batch: tuple[Frame, tuple[int, ...]] | None = None
        self._batch_runs = False
        self._order: Order | None = None
        self._made: Order | None = None
        self._newest: tuple[Frame, Observation] | None = None
        # A mesh and the stamp it was made from become known in one step.
        self._exchange = threading.Lock()
        self._mesh_stamps: dict[int, int] = {}
        self._threads: tuple[threading.Thread, ...] = ()

    def start(self) -> None:
        """Start both threads, at first or again; tracks go on where they were."""
        self._stopping = self._look_again = False
        self._batch = self._newest = None
        self._threads = (
            threading.Thread(target=self._track, name="tracking", daemon=True),
            threading.Thread(target=self._reconstruct, name="reconstruction", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads; a batch that is under way ends at its next sign of progress."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()
        for order in (self._order, self._made):
            if order is not None:
                self._finish(order, "the node was deactivated")

    def order(self, order: Order) -> bool:
        """Hand over an order; False while another one is under way."""
        with self._condition:
            if self.is_ordered or self._stopping:
                return False
            self._order = order
            self._condition.notify_all()
            return True

    @property
    def is_ordered(self) -> bool:
        """Whether an order is under way."""
        return self._order is not None or self._made is not None

    @property
    def newest(self) -> tuple[Frame, Observation] | None:
        """The newest frame that was observed."""
        return self._newest

    @property
    def mesh_stamps(self) -> Mapping[int, int]:
        """Track id -> stamp of the image that its mesh was made from, nanoseconds."""
        return self._mesh_stamps

    def _track(self) -> None:
        while not self._stopping:
            with self._condition:
                again, self._look_again = self._look_again, False
                # An order made before this look is shown by it; one that is made meanwhile may not be.
                made = self._made
            if again and self._newest is not None:
                frame: Frame | None = self._newest[0]
            else:
                frame = self._listener.next_frame(LOOK_PERIOD)
            if frame is not None and self._observe(frame) and made is not None:
                made.result = self._newest
                self._finish(made, "")

    def _observe(self, frame: Frame) -> bool:
        try:
            with self._exchange:
                observation = self._pipeline.observe(frame)
                for track_id in observation.deleted:
                    self._mesh_stamps.pop(track_id, None)
        except FRAME_ERRORS as error:
            self._listener.failed("tracking", error, traceback.format_exc())
            return False
        self._newest = (frame, observation)
        with self._condition:
            if observation.requests and not self._batch_runs:
                self._batch = (frame, tuple(request.instance_id for request in observation.requests))
                self._condition.notify_all()
        self._listener.observed(frame, observation)
        return True

    def _reconstruct(self) -> None:
        while True:
            with self._condition:
                self._batch_runs = False
                self._condition.wait_for(lambda: self._stopping or self._batch or self._order)
                if self._stopping:
                    return
                self._batch_runs = True
                order, batch = self._order, self._batch
                if order is None:
                    self._batch = None
            if order is not None:
                self._fill(order)
            elif batch is not None:
                self._run_batch(*batch)

    def _run_batch(self, frame: Frame, instance_ids: Sequence[int]) -> None:
        try:
            self._make(frame, instance_ids, None)
        except Cancelled:
            return
        except FRAME_ERRORS as error:
            self._listener.failed("reconstruction", error, traceback.format_exc())
            with self._condition:
                self._condition.wait_for(lambda: self._stopping, timeout=RETRY_PAUSE)
                # Requests that came meanwhile were not taken down: the newest frame asks again.
                self._look_again = True

    def _fill(self, order: Order) -> None:
        newest = self._newest
        if newest is None:
            self._finish(order, "no frame has been seen yet: check that image, labels and camera_info arrive")
            return
        frame, observation = newest
        track_of = {instance: track for track, instance in observation.instances.items()}
        instance_ids = list(order.instance_ids) or sorted(track_of)
        unknown = [instance for instance in instance_ids if instance not in track_of]
        if unknown:
            self._finish(
                order, f"instances {unknown} are not in the newest frame, which has {sorted(track_of)}"
            )
            return
        try:
            self._make(frame, instance_ids, order.progress)
        except Cancelled:
            self._finish(order, "cancelled")
        except FRAME_ERRORS as error:
            self._listener.failed("reconstruction", error, traceback.format_exc())
            self._finish(order, f"the reconstruction failed: {error}")
        else:
            order.track_ids = tuple(track_of[instance] for instance in instance_ids)
            with self._condition:
                self._order, self._made, self._look_again = None, order, True
                self._condition.notify_all()

    def _make(self, frame: Frame, instance_ids: Sequence[int], progress: Progress | None) -> None:
        def report(stage: str, share: float) -> None:
            if self._stopping:
                raise Cancelled
            if progress is not None:
                progress(stage, share)

        began = time.perf_counter()
        estimates = self._pipeline.reconstruct(frame, instance_ids, progress=report)
        with self._exchange:
            changed = self._pipeline.integrate(frame, estimates)
            self._mesh_stamps.update(dict.fromkeys(changed, frame.stamp))
        self._listener.reconstructed(len(instance_ids), 1e3 * (time.perf_counter() - began))
        with self._condition:
            self._look_again = True
            self._condition.notify_all()

    def _finish(self, order: Order, error: str) -> None:
        order.error = error
        with self._condition:
            self._order = self._made = None
        order.finished(order)
