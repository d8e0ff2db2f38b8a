"""The threads that follow objects and make meshes, with the real pipeline on simulated frames."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.nodes.frame_threads import Cancelled
from sam3d_ros.nodes.object_threads import ObjectThreads, Order
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.pipeline import ObjectPipeline, Observation
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.simulation.frames import frame_from_depth
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.trajectories import viewpoint

OBJECTS = 3
SECOND = 1_000_000_000


class Reconstructor(GeometricReconstructor):
    """The geometric one, which can be told to wait or to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.batches: list[tuple[int, ...]] = []

    def reconstruct(
        self, frame: Frame, instance_ids: Sequence[int], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        self.batches.append(tuple(instance_ids))
        while not self.gate.wait(0.01):
            if progress is not None:
                progress("waiting", 0.0)
        if self.failures:
            raise self.failures.pop()
        return super().reconstruct(frame, instance_ids, progress=progress)


class Desk:
    """Hands frames to the threads and keeps what they report."""

    def __init__(self) -> None:
        self.frames: queue.Queue[Frame] = queue.Queue()
        self.observations: list[Observation] = []
        self.failures: list[tuple[str, Exception]] = []
        self.reconstructor = Reconstructor()
        self.threads = ObjectThreads(ObjectPipeline(self.reconstructor), self)

    def next_frame(self, timeout: float) -> Frame | None:
        try:
            return self.frames.get(timeout=timeout)
        except queue.Empty:
            return None

    def observed(self, frame: Frame, observation: Observation) -> None:
        self.observations.append(observation)

    def reconstructed(self, count: int, milliseconds: float) -> None:
        pass

    def failed(self, stage: str, error: Exception, details: str) -> None:
        assert "Traceback" in details
        self.failures.append((stage, error))

    def known(self) -> int:
        """Objects in the newest observation."""
        return len(self.observations[-1].objects) if self.observations else 0

    def order(self, *instance_ids: int, progress: Progress = lambda stage, share: None) -> queue.Queue[Order]:
        """Hand over an order; the queue that it comes back in."""
        answers: queue.Queue[Order] = queue.Queue()
        assert self.threads.order(Order(instance_ids, progress, answers.put))
        return answers


@pytest.fixture(scope="module")
def picture() -> Frame:
    """A table with three things."""
    scene = random_scene(3, OBJECTS)
    camera = Camera.from_field_of_view(192, 144, np.deg2rad(60.0))
    seen = render(scene, camera, viewpoint(0.85, 0.0, np.deg2rad(35.0)))
    return replace(frame_from_depth(scene, seen, seen.depth), fixed_from_camera=None)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Running threads."""
    made = Desk()
    made.threads.start()
    yield made
    made.reconstructor.gate.set()
    made.threads.stop()


def test_a_single_frame_gets_its_objects_in_one_batch(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.frames.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    assert len(desk.reconstructor.batches) == 1
    assert sorted(desk.reconstructor.batches[0]) == picture.instance_ids()
    assert {thing.track_id for thing in desk.observations[-1].objects} == set(desk.threads.mesh_stamps)
    assert set(desk.threads.mesh_stamps.values()) == {picture.stamp}


def test_tracking_goes_on_while_meshes_are_made(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.reconstructor.gate.clear()
    for index in range(5):
        desk.frames.put(replace(picture, stamp=index * SECOND // 10))
    assert wait_for(lambda: len(desk.observations) == 5)
    assert desk.known() == 0
    desk.reconstructor.gate.set()
    assert wait_for(lambda: desk.known() == OBJECTS)


@pytest.mark.parametrize("error", [MemoryError("no memory"), RuntimeError("a solver gave up")])
def test_a_failed_batch_is_reported_and_tried_again(
    desk: Desk, picture: Frame, error: Exception, wait_for: Callable[..., Any]
) -> None:
    desk.reconstructor.failures.append(error)
    desk.frames.put(picture)
    assert wait_for(lambda: desk.failures)
    assert desk.failures == [("reconstruction", error)]
    desk.frames.put(replace(picture, stamp=SECOND))
    assert wait_for(lambda: desk.known() == OBJECTS)


def test_an_order_shows_its_objects_and_its_progress(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    early = desk.order().get(timeout=10)
    assert early.result is None
    assert "no frame" in early.error
    desk.frames.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    shares: list[float] = []
    wanted = picture.instance_ids()[:2]
    order = desk.order(*wanted, progress=lambda stage, share: shares.append(share)).get(timeout=30)
    assert order.error == ""
    assert order.result is not None
    instances = order.result[1].instances
    assert sorted(instances[track] for track in order.track_ids) == wanted
    assert shares == sorted(shares)
    assert "60000" in desk.order(60000).get(timeout=10).error


def test_an_order_can_be_cancelled_and_only_one_is_taken(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.frames.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    desk.reconstructor.gate.clear()
    cancelled = threading.Event()

    def progress(_stage: str, _share: float) -> None:
        if cancelled.is_set():
            raise Cancelled

    answers = desk.order(progress=progress)
    assert not desk.threads.order(Order((), progress, answers.put))
    cancelled.set()
    order = answers.get(timeout=10)
    assert (order.result, order.error) == (None, "cancelled")


def test_stopping_ends_what_is_under_way_and_starting_again_goes_on(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.frames.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    ids = [thing.track_id for thing in desk.observations[-1].objects]
    desk.reconstructor.gate.clear()
    answers = desk.order()
    desk.threads.stop()
    assert answers.get(timeout=10).result is None
    assert not desk.threads.order(Order((), lambda stage, share: None, answers.put))
    desk.reconstructor.gate.set()
    desk.threads.start()
    desk.frames.put(replace(picture, stamp=SECOND))
    assert wait_for(lambda: desk.observations[-1].stamp == SECOND)
    assert [thing.track_id for thing in desk.observations[-1].objects] == ids
