"""The threads of the people: the newest frame wins, a failure passes, and they end when they are told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from analytic_bodies import labelled_frame, standing_body
from thread_bench import FrameQueue, NotingReport, NotingSink

from sam3d_ros.nodes.body_threads import BodyThreads
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.estimates import BodyEstimate
from sam3d_ros.perception.people.pipeline import BodyPipeline
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.perception.scenes.joint_scene import SeenPeople


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


class World:
    """Threads at work, and what stands around them."""

    def __init__(self) -> None:
        self.reconstructor = Gated()
        self.source, self.report, self.sink = FrameQueue(), NotingReport(), NotingSink[SeenPeople]()
        pipeline = BodyPipeline(self.reconstructor)
        self.threads = BodyThreads(pipeline, self.source, [self.sink], self.report)

    def put(self, frame: Frame) -> None:
        """Let the source give a frame."""
        self.source.frames.put(frame)

    def seen(self) -> list[int]:
        """Stamps of the frames that were looked at."""
        return [stamp for stamp, _ in self.report.seen]

    def told(self) -> list[tuple[int, list[int]]]:
        """Stamps of the moments that were shown, and who was in them."""
        return [
            (moment.frame.stamp, [body.track_id for body in moment.bodies]) for moment in self.sink.moments
        ]

    def failures(self) -> list[str]:
        """What was given up."""
        return [f"{stage}: {error}" for stage, error in self.report.failures]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.threads.start()
    yield made
    made.reconstructor.gate.release(100)
    made.threads.stop()


def test_what_comes_while_people_are_posed_is_passed_over_but_the_newest(
    world: World, wait_for: Callable[..., Any]
) -> None:
    world.put(frame_at(0))
    assert world.reconstructor.began.acquire(timeout=30)
    for stamp in (1, 2, 3):
        world.put(frame_at(stamp))
    assert wait_for(lambda: world.seen() == [0, 1, 2, 3])
    world.reconstructor.gate.release(2)
    assert wait_for(lambda: [stamp for stamp, _ in world.told()] == [0, 3])
    assert [ids for _, ids in world.told()] == [[1], [1]]
    assert world.threads.newest[0].frame.stamp == 3


def test_a_frame_that_fails_is_told_and_the_next_one_is_posed(
    world: World, wait_for: Callable[..., Any]
) -> None:
    world.reconstructor.bad.add(0)
    world.reconstructor.gate.release(2)
    world.put(frame_at(0))
    assert wait_for(lambda: world.failures() == ["reconstruction of a person: no such luck"])
    world.put(frame_at(1))
    assert wait_for(lambda: world.told() == [(0, []), (1, [1])])


def test_a_frame_without_people_is_told_as_such(world: World, wait_for: Callable[..., Any]) -> None:
    world.put(labelled_frame(5, np.zeros((60, 80), np.uint16), {}))
    assert wait_for(lambda: world.told() == [(5, [])])


def test_who_is_out_of_sight_for_a_moment_is_still_alive(world: World, wait_for: Callable[..., Any]) -> None:
    world.reconstructor.gate.release()
    world.put(frame_at(0))
    assert wait_for(lambda: world.told() == [(0, [1])])
    world.put(labelled_frame(1, np.zeros((60, 80), np.uint16), {}))
    assert wait_for(lambda: world.told() == [(0, [1]), (1, [])])
    assert [moment.alive for moment in world.sink.moments] == [{1}, {1}]
    assert wait_for(lambda: world.report.out == {"bodies": [0, 1]})
    assert world.report.stages == {"track": 2, "reconstruct": 1, "publish": 2}


def test_people_who_are_being_posed_are_given_up_at_the_end(
    world: World, wait_for: Callable[..., Any]
) -> None:
    world.put(frame_at(0))
    assert world.reconstructor.began.acquire(timeout=30)
    stopper = threading.Thread(target=world.threads.stop)
    stopper.start()
    assert wait_for(lambda: world.threads._stop.is_set())
    world.reconstructor.gate.release()
    stopper.join(30)
    assert not stopper.is_alive()
    assert world.reconstructor.turned_back
    assert (world.told(), world.failures()) == ([], [])
    # And they begin again with the next frame.
    world.threads.start()
    world.reconstructor.gate.release()
    world.put(frame_at(1))
    assert wait_for(lambda: world.told() == [(1, [1])])
