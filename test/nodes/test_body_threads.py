"""The threads of the people: the newest frame wins, a failure passes, and they end when they are told to."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from analytic_bodies import labelled_frame, standing_body

from sam3d_ros.nodes.body_threads import BodyThreads
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.estimates import BodyEstimate
from sam3d_ros.perception.people.pipeline import BodyPipeline, Sighting, TrackedBody
from sam3d_ros.perception.reconstructor import Progress


def frame_at(stamp: int) -> Frame:
    labels = np.zeros((60, 80), np.uint16)
    labels[10:50, 20:60] = 1
    return labelled_frame(stamp, labels, {1: "person"})


class Gated:
    """Poses when it is let to; fails for the stamps that it is told to."""

    name = "gated"

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.began = threading.Semaphore(0)
        self.bad: set[int] = set()
        self.turned_back = False

    def reconstruct(
        self, frame: Frame, instance_ids: Sequence[int], *, progress: Progress | None = None
    ) -> list[BodyEstimate]:
        self.began.release()
        assert self.gate.acquire(timeout=30)
        assert progress is not None
        self.turned_back = True
        progress("bodies", 0.5)
        self.turned_back = False
        if frame.stamp in self.bad:
            raise RuntimeError("no such luck")
        return [standing_body(i) for i in instance_ids]


class Listener:
    """Gives the frames that are put in, and notes what it is told."""

    def __init__(self) -> None:
        self.frames: queue.Queue[Frame] = queue.Queue()
        self.seen: list[int] = []
        self.told: list[tuple[int, list[int]]] = []
        self.failures: list[str] = []

    def next_frame(self, timeout: float) -> Frame | None:
        try:
            return self.frames.get(timeout=timeout)
        except queue.Empty:
            return None

    def sighted(self, sighting: Sighting, milliseconds: float) -> None:
        self.seen.append(sighting.frame.stamp)

    def posed(self, sighting: Sighting, bodies: tuple[TrackedBody, ...], milliseconds: float) -> None:
        self.told.append((sighting.frame.stamp, [body.track_id for body in bodies]))

    def failed(self, stage: str, error: Exception, details: str) -> None:
        self.failures.append(f"{stage}: {error}")


@pytest.fixture
def world() -> Any:
    reconstructor, listener = Gated(), Listener()
    threads = BodyThreads(BodyPipeline(reconstructor), listener)
    threads.start()
    yield reconstructor, listener, threads
    reconstructor.gate.release(100)
    threads.stop()


def test_what_comes_while_people_are_posed_is_passed_over_but_the_newest(
    world: Any, wait_for: Callable[..., Any]
) -> None:
    reconstructor, listener, threads = world
    listener.frames.put(frame_at(0))
    assert reconstructor.began.acquire(timeout=30)
    for stamp in (1, 2, 3):
        listener.frames.put(frame_at(stamp))
    assert wait_for(lambda: listener.seen == [0, 1, 2, 3])
    reconstructor.gate.release(2)
    assert wait_for(lambda: [stamp for stamp, _ in listener.told] == [0, 3])
    assert [ids for _, ids in listener.told] == [[1], [1]]
    assert threads.newest[0].frame.stamp == 3


def test_a_frame_that_fails_is_told_and_the_next_one_is_posed(
    world: Any, wait_for: Callable[..., Any]
) -> None:
    reconstructor, listener, _ = world
    reconstructor.bad.add(0)
    reconstructor.gate.release(2)
    listener.frames.put(frame_at(0))
    assert wait_for(lambda: listener.failures == ["reconstruction: no such luck"])
    listener.frames.put(frame_at(1))
    assert wait_for(lambda: listener.told == [(1, [1])])


def test_a_frame_without_people_is_told_as_such(world: Any, wait_for: Callable[..., Any]) -> None:
    _, listener, _ = world
    listener.frames.put(labelled_frame(5, np.zeros((60, 80), np.uint16), {}))
    assert wait_for(lambda: listener.told == [(5, [])])


def test_people_who_are_being_posed_are_given_up_at_the_end(world: Any, wait_for: Callable[..., Any]) -> None:
    reconstructor, listener, threads = world
    listener.frames.put(frame_at(0))
    assert reconstructor.began.acquire(timeout=30)
    stopper = threading.Thread(target=threads.stop)
    stopper.start()
    assert wait_for(lambda: threads._stopping)
    reconstructor.gate.release()
    stopper.join(30)
    assert not stopper.is_alive()
    assert reconstructor.turned_back
    assert (listener.told, listener.failures) == ([], [])
    # And they begin again with the next frame.
    threads.start()
    reconstructor.gate.release()
    listener.frames.put(frame_at(1))
    assert wait_for(lambda: listener.told == [(1, [1])])
