"""A thread that follows what frames show, and beside it one that reconstructs."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from sam3d_ros.nodes.boundary import Boundary, Cancelled
from sam3d_ros.nodes.sinks.sink import Sink
from sam3d_ros.perception.frame import Frame

#: How long a reconstruction under way may take to notice that the threads end, before nobody waits for it; seconds.
STOP_PATIENCE = 1.0
#: How long the tracking thread waits for a frame before it looks what else there is to do, seconds.
LOOK_PERIOD = 0.01

Job = Callable[[], None]


Self = TypeVar("Self", bound="Moment")


class Moment(Protocol):
    """What sinks are shown, such as `SeenObjects`."""

    def emptied(self: Self) -> Self:
        """The same image with nothing in it."""


M = TypeVar("M", bound=Moment)
N = TypeVar("N")


class Source(Protocol):
    """Where frames come from."""

    def next_frame(self, timeout: float) -> Frame | None:
        """The next complete frame, or None when none comes in time; called by the tracking thread."""


class Report(Protocol):
    """What is told of the work; from either thread."""

    def observed(self, faults: Mapping[str, int], stamp: int) -> None:
        """A frame of this stamp had faults: name -> number of instances."""

    def spent(self, stage: str, milliseconds: float) -> None:
        """A stage took so long."""

    def reached(self, what: str, stamp: int) -> None:
        """What is made of a frame of this stamp is out."""

    def finished(self, count: int, milliseconds: float) -> None:
        """A batch of `count` instances was reconstructed."""

    def failed(self, what: str, error: Exception, details: str) -> None:
        """What was done raised an error; `details` is the traceback."""


@dataclass(frozen=True)
class TrackingFrame:
    """The frame that everything is tracked and published in.

    Attributes:
        name: of a frame that is fixed in the world; empty = the camera is it.
    """

    name: str = ""

    def of(self, frame: Frame) -> str:
        """Its name for what is seen in an image."""
        return self.name or frame.frame_id


#: The camera itself.
CAMERA = TrackingFrame()


class FrameThreads(Generic[N, M]):
    """Both threads; subclasses implement `_track`, which may `_ask` for a reconstruction.

    Args:
        source: where frames come from.
        report: what is told of the work.
        subject: what is tracked, for the names of the threads.
        boundary: where failures end: of a look at a frame, of a reconstruction, of a sink; None = one of its own, which
            tells the report.

    Attributes:
        newest: the newest result since the start.
        session: a random number from 1 to 2^64 - 1: ids and versions are unique in it.
    """

    def __init__(self, source: Source, report: Report, subject: str, boundary: Boundary | None) -> None:
        self._source = source
        self._report = report
        self._boundary = boundary or Boundary(report.failed)
        self._subject = subject
        self._condition = threading.Condition()
        self._is_busy = False
        # Of the present run, and of the one that the reconstructing thread belongs to: it may end later than its run.
        self._stop = self._worker_stop = threading.Event()
        self._worker: threading.Thread | None = None
        self._afterwards: list[Callable[[], None]] = []
        self._job: Job | None = None
        self.newest: N | None = None
        self.session = 1 + secrets.randbelow(2**64 - 1)
        self._shown: M | None = None
        self._tracker: threading.Thread | None = None

    def start(self) -> None:
        """Start both threads, at first or again; tracks go on where they were."""
        self._stop = threading.Event()
        self._job = self.newest = None
        work = partial(self._reconstruct, self._stop, self._worker)
        self._worker = threading.Thread(target=work, name=f"{self._subject} reconstruction", daemon=True)
        self._tracker = threading.Thread(target=self._follow, name=f"{self._subject} tracking", daemon=True)
        for thread in (self._worker, self._tracker):
            thread.start()

    def stop(self) -> None:
        """End both threads.

        A reconstruction that is under way ends at its next sign of progress, which a network may take minutes for: it
        is left to itself then, and nothing comes of it.
        """
        with self._condition:
            self._stop.set()
            self._condition.notify_all()
        if self._tracker is not None and self._worker is not None:
            self._tracker.join()
            self._worker.join(STOP_PATIENCE)

    def afterwards(self, work: Callable[[], None]) -> None:
        """Do something when no reconstruction is under way any more: at once, or at its end; once stopped."""
        with self._condition:
            is_done = self._worker is None or not self._worker.is_alive()
            if not is_done:
                self._afterwards.append(work)
        if is_done:
            work()

    def emptied(self) -> M | None:
        """The last moment with nothing in it, which is the last one from now on; None where none was shown."""
        if self._shown is not None:
            self._shown = self._shown.emptied()
        return self._shown

    def _follow(self) -> None:
        while not self._stop.is_set():
            if self._boundary.attempt("tracking", self._look):
                self._rest("tracking")

    def _look(self) -> bool:
        if (frame := self._next_frame()) is None:
            return False
        self._track(frame)
        return True

    def _reconstruct(self, stop: threading.Event, former: threading.Thread | None) -> None:
        if former is not None:
            former.join()
        self._worker_stop = stop
        self._work(stop)
        with self._condition:
            afterwards, self._afterwards = self._afterwards, []
        for work in afterwards:
            self._boundary.attempt("the end of a reconstruction", work)

    def _work(self, stop: threading.Event) -> None:
        while True:
            with self._condition:
                self._is_busy = False
                if stop.is_set():
                    return
                if (job := self._next_job()) is None:
                    self._condition.wait()
                    continue
                self._is_busy = True
            try:
                if self._boundary.attempt("reconstruction", job):
                    self._rest("reconstruction")
            except Cancelled:
                continue

    def _rest(self, kind: str) -> None:
        """Wait a while after a failure: what failed may come again at once."""
        with self._condition:
            self._condition.wait_for(self._stop.is_set, timeout=self._boundary.rest(kind))

    def _next_frame(self) -> Frame | None:
        """The frame to look at, if there is one before long."""
        return self._source.next_frame(LOOK_PERIOD)

    def _track(self, frame: Frame) -> None:
        """Look at a frame."""
        raise NotImplementedError

    def _ask(self, job: Job) -> None:
        """Have something reconstructed next, in place of what was asked for and not begun."""
        with self._condition:
            self._job = job
            self._condition.notify_all()

    def _next_job(self) -> Job | None:
        """Take what is to be reconstructed; called whenever `_condition` is notified."""
        job, self._job = self._job, None
        return job

    def _go_on(self, stage: str, share: float) -> None:
        """Progress of a reconstruction, which ends here when the threads do."""
        if self._worker_stop.is_set():
            raise Cancelled

    def _show_all(self, sinks: Sequence[Sink[M]], moment: M) -> None:
        """Show a moment to every sink, whatever becomes of the others."""
        self._shown = moment
        for sink in sinks:
            self._boundary.attempt(f"sink {type(sink).__name__}", partial(sink.show, moment))
