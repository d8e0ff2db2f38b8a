"""The threads that follow objects and make meshes, with the real pipeline on simulated frames."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from thread_bench import FrameQueue, NotingReport, NotingSink

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.nodes.boundary import Boundary, Cancelled
from sam3d_ros.nodes.frame_threads import TrackingFrame
from sam3d_ros.nodes.object_threads import ObjectThreads, Order
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.perception.scenes.joint_scene import SeenObjects
from sam3d_ros.perception.tracking.following import Followed, Follower
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
        self.tells_progress = True
        self.failures: list[Exception] = []
        self.batches: list[tuple[int, ...]] = []

    def reconstruct(
        self, evidence: Sequence[Evidence], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        self.batches.append(tuple(piece.instance_id for piece in evidence))
        while not self.gate.wait(0.01):
            if progress is not None and self.tells_progress:
                progress("waiting", 0.0)
        if self.failures:
            raise self.failures.pop()
        return super().reconstruct(evidence, progress=progress)


class Desk:
    """Hands frames to the threads and keeps what they show and report."""

    def __init__(self) -> None:
        self.source, self.report = FrameQueue(), NotingReport()
        self.sink, self.second_sink = NotingSink[SeenObjects](), NotingSink[SeenObjects]()
        self.reconstructor = Reconstructor()
        self.threads = ObjectThreads(
            ObjectPipeline(self.reconstructor), self.source, [self.sink, self.second_sink], self.report
        )

    def put(self, frame: Frame) -> None:
        """Let the source give a frame."""
        self.source.frames.put(frame)

    def known(self) -> int:
        """Objects in the newest moment."""
        return len(self.sink.moments[-1].objects) if self.sink.moments else 0

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
    return replace(frame_from_depth(scene, seen, seen.depth), fixed_from_camera=None, stamp=SECOND // 2)


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
    desk.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    assert len(desk.reconstructor.batches) == 1
    assert sorted(desk.reconstructor.batches[0]) == picture.instance_ids()
    # A mesh is as old as the frame that it was made from, also when later ones show it.
    desk.put(replace(picture, stamp=SECOND))
    assert wait_for(lambda: desk.sink.moments[-1].stamp == SECOND)
    assert [thing.mesh_stamp for thing in desk.sink.moments[-1].objects] == OBJECTS * [picture.stamp]


def test_tracking_goes_on_while_meshes_are_made(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.reconstructor.gate.clear()
    for index in range(5):
        desk.put(replace(picture, stamp=index * SECOND // 10))
    assert wait_for(lambda: len(desk.sink.moments) == 5)
    assert desk.known() == 0
    desk.reconstructor.gate.set()
    assert wait_for(lambda: desk.known() == OBJECTS)


@pytest.mark.parametrize("error", [MemoryError("no memory"), RuntimeError("a solver gave up")])
def test_a_failed_batch_is_reported_and_made_in_parts(
    desk: Desk, picture: Frame, error: Exception, wait_for: Callable[..., Any]
) -> None:
    desk.reconstructor.failures.append(error)
    desk.put(picture)
    assert wait_for(lambda: desk.report.failures)
    assert desk.report.failures == [("reconstruction of an instance", error)]
    assert wait_for(lambda: desk.known() == OBJECTS)
    assert [len(batch) for batch in desk.reconstructor.batches] == [3, 1, 2]


class Choosy(GeometricReconstructor):
    """Raises for every batch with a certain instance, until it is reconciled."""

    def __init__(self, hated: int, error: Exception) -> None:
        super().__init__()
        self.hated, self.error = hated, error
        self.is_reconciled = False

    def reconstruct(
        self, evidence: Sequence[Evidence], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        if not self.is_reconciled and any(piece.instance_id == self.hated for piece in evidence):
            raise self.error
        return super().reconstruct(evidence, progress=progress)


@pytest.mark.parametrize("error", [KeyError("no such label"), cv2.error("odd")], ids=repr)
def test_an_instance_that_cannot_be_made_is_rejected_alone_and_tried_ever_more_rarely(
    picture: Frame, error: Exception, wait_for: Callable[..., Any]
) -> None:
    hated = picture.instance_ids()[1]
    reconstructor = Choosy(hated, error)
    source, sink, report = FrameQueue(), NotingSink[SeenObjects](), NotingReport()
    threads = ObjectThreads(ObjectPipeline(reconstructor), source, [sink], report)
    threads.start()

    def look(stamp: int) -> dict[int, Verdict]:
        source.frames.put(replace(picture, stamp=stamp))
        assert wait_for(lambda: sink.moments and sink.moments[-1].stamp == stamp)
        # Whatever is asked for is made before the next look.
        assert wait_for(lambda: threads._job is None and not threads._is_busy)
        objects = sink.moments[-1].objects
        return {thing.estimate.instance_id: thing.estimate.verdict for thing in objects}

    look(0)
    assert wait_for(lambda: len(sink.moments[-1].objects) == OBJECTS)
    verdicts = look(SECOND // 10)
    assert verdicts.pop(hated).reasons[0] == "reconstruction_failed"
    assert all(verdict.state is not VerdictState.REJECTED for verdict in verdicts.values())
    tried: list[int] = []
    for second in range(1, 16):
        failures = len(report.failures)
        verdicts = look(second * SECOND)
        assert verdicts[hated].state is VerdictState.REJECTED
        if wait_for(lambda failures=failures: len(report.failures) > failures, 0.05):
            tried.append(second)
    assert len(report.failures) == len(tried) + 1
    gaps = [later - before for before, later in itertools.pairwise(tried)]
    assert gaps == sorted(gaps) and gaps[-1] >= 2 * gaps[0]
    assert {what for what, _ in report.failures} == {"reconstruction of an instance"}
    assert {raised for _, raised in report.failures} == {error}
    reconstructor.is_reconciled = True
    # The camera goes on looking: after a time without frames it would be another object.
    later = range(18, 120, 3)
    assert any(look(second * SECOND)[hated].state is VerdictState.ACCEPTED for second in later)
    threads.stop()


def test_an_object_that_cannot_be_followed_costs_the_others_nothing(
    picture: Frame, wait_for: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hated = picture.instance_ids()[1]
    follow, hates = Follower.follow, threading.Event()

    def choosy(follower: Follower, evidence: Evidence, *arguments: Any) -> Followed:
        if hates.is_set() and evidence.instance_id == hated:
            raise LookupError("a defect")
        return follow(follower, evidence, *arguments)

    monkeypatch.setattr(Follower, "follow", choosy)
    source, sink, report = FrameQueue(), NotingSink[SeenObjects](), NotingReport()
    threads = ObjectThreads(ObjectPipeline(GeometricReconstructor()), source, [sink], report)
    threads.start()

    def look(stamp: int) -> dict[int, Verdict]:
        source.frames.put(replace(picture, stamp=stamp))
        assert wait_for(lambda: sink.moments and sink.moments[-1].stamp == stamp)
        return {thing.estimate.instance_id: thing.estimate.verdict for thing in sink.moments[-1].objects}

    look(SECOND)
    assert wait_for(lambda: len(sink.moments[-1].objects) == OBJECTS)
    before = look(2 * SECOND)
    hates.set()
    during = look(3 * SECOND)
    assert during.pop(hated).reasons[0] == "following_failed"
    assert all(during[instance] == before[instance] for instance in during)
    assert {what for what, _ in report.failures} == {"following of an object"}
    hates.clear()
    assert wait_for(lambda: look(4 * SECOND)[hated].state is before[hated].state)
    threads.stop()


def test_lack_of_memory_for_one_costs_the_others_nothing_and_never_ends_the_process(
    picture: Frame, wait_for: Callable[..., Any]
) -> None:
    reconstructor = Choosy(picture.instance_ids()[0], MemoryError("too large"))
    source, sink, report = FrameQueue(), NotingSink[SeenObjects](), NotingReport()
    boundary = Boundary(report.failed, limit=2)
    threads = ObjectThreads(ObjectPipeline(reconstructor), source, [sink], report, boundary=boundary)
    threads.start()
    source.frames.put(picture)
    assert wait_for(lambda: sink.moments and len(sink.moments[-1].objects) == OBJECTS)
    # Asked for alone, it fails ever again.
    for second in range(1, 100):
        source.frames.put(replace(picture, stamp=second * SECOND))
        if wait_for(lambda: len(report.failures) > 3, 0.1):
            break
    assert len(report.failures) > 3
    threads.stop()
    assert boundary.given_up == ""


def test_a_sink_that_fails_costs_the_others_nothing(picture: Frame, wait_for: Callable[..., Any]) -> None:
    class Broken(NotingSink[SeenObjects]):
        def show(self, moment: SeenObjects) -> None:
            raise KeyError("a defect")

    source, sink, report = FrameQueue(), NotingSink[SeenObjects](), NotingReport()
    threads = ObjectThreads(ObjectPipeline(GeometricReconstructor()), source, [Broken(), sink], report)
    threads.start()
    source.frames.put(picture)
    assert wait_for(lambda: sink.moments and len(sink.moments[-1].objects) == OBJECTS)
    threads.stop()
    assert {what for what, _ in report.failures} == {"sink Broken"}


@pytest.mark.parametrize("error", [LookupError(), TypeError("no frame"), cv2.error("odd"), RuntimeError()])
def test_a_frame_that_cannot_be_made_costs_itself_alone(
    picture: Frame, error: Exception, wait_for: Callable[..., Any]
) -> None:
    class Spoilt(FrameQueue):
        def next_frame(self, timeout: float) -> Frame | None:
            frame = super().next_frame(timeout)
            if frame is not None and frame.stamp < SECOND:
                raise error
            return frame

    source, sink, report = Spoilt(), NotingSink[SeenObjects](), NotingReport()
    threads = ObjectThreads(ObjectPipeline(GeometricReconstructor()), source, [sink], report)
    threads.start()
    for stamp in (1, 2, SECOND):
        source.frames.put(replace(picture, stamp=stamp))
    assert wait_for(lambda: sink.moments and len(sink.moments[-1].objects) == OBJECTS)
    threads.stop()
    assert report.failures == 2 * [("tracking", error)]


def test_an_order_shows_its_objects_and_its_progress(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    early = desk.order().get(timeout=10)
    assert early.result is None
    assert "no frame" in early.error
    desk.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    shares: list[float] = []
    wanted = picture.instance_ids()[:2]
    order = desk.order(*wanted, progress=lambda stage, share: shares.append(share)).get(timeout=30)
    assert order.error == ""
    assert order.result is not None
    instances = {thing.track_id: thing.estimate.instance_id for thing in order.result.objects}
    assert sorted(instances[track] for track in order.track_ids) == wanted
    assert shares == sorted(shares)
    assert "60000" in desk.order(60000).get(timeout=10).error


def test_an_order_can_be_cancelled_and_only_one_is_taken(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.put(picture)
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


def test_an_order_that_waits_for_a_batch_can_be_cancelled_at_once(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.reconstructor.gate.clear()
    desk.reconstructor.tells_progress = False
    desk.put(picture)
    assert wait_for(lambda: desk.reconstructor.batches)
    answers: queue.Queue[Order] = queue.Queue()
    order = Order((), lambda stage, share: None, answers.put)
    assert desk.threads.order(order)
    desk.threads.cancel(order)
    assert answers.get(timeout=1).error == "cancelled"
    # Its place is free, its batch is never made, and it has one answer alone.
    assert desk.threads.order(Order((), lambda stage, share: None, answers.put))
    desk.threads.cancel(order)
    desk.reconstructor.gate.set()
    assert answers.get(timeout=30).result is not None
    assert len(desk.reconstructor.batches) == 2 and answers.empty()


def test_an_order_says_whose_mesh_is_kept(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    assert desk.order().get(timeout=30).note == ""
    monkeypatch.setattr("sam3d_ros.perception.pipeline.may_replace", lambda *verdicts: False)
    order = desk.order(picture.instance_ids()[0]).get(timeout=30)
    assert order.error == "" and order.result is not None
    assert f"instances [{picture.instance_ids()[0]}] keep the mesh that they have" in order.note


def test_nobody_waits_for_a_reconstruction_that_tells_no_progress(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a network, between two signs of progress: minutes may pass."""
    monkeypatch.setattr("sam3d_ros.nodes.frame_threads.STOP_PATIENCE", 0.05)
    desk.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    desk.reconstructor.gate.clear()
    desk.reconstructor.tells_progress = False
    answers = desk.order()
    assert wait_for(lambda: len(desk.reconstructor.batches) == 2)
    desk.threads.stop()
    assert answers.get(timeout=1).error == "the node was deactivated"
    released = threading.Event()
    desk.threads.afterwards(released.set)
    shown = len(desk.sink.moments)
    desk.threads.start()
    desk.put(replace(picture, stamp=SECOND))
    assert wait_for(lambda: desk.known() == OBJECTS and len(desk.sink.moments) > shown)
    assert not released.is_set()
    desk.reconstructor.gate.set()
    assert released.wait(30)
    # What was left to itself came to nothing, and the next order is served.
    assert answers.empty() and len(desk.reconstructor.batches) == 2
    assert desk.order().get(timeout=30).result is not None
    desk.threads.stop()
    done = threading.Event()
    desk.threads.afterwards(done.set)
    assert done.is_set()


def test_stopping_ends_what_is_under_way_and_starting_again_goes_on(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    ids = [thing.track_id for thing in desk.sink.moments[-1].objects]
    desk.reconstructor.gate.clear()
    answers = desk.order()
    desk.threads.stop()
    assert answers.get(timeout=10).result is None
    assert not desk.threads.order(Order((), lambda stage, share: None, answers.put))
    desk.reconstructor.gate.set()
    desk.threads.start()
    desk.put(replace(picture, stamp=SECOND))
    assert wait_for(lambda: desk.sink.moments[-1].stamp == SECOND)
    assert [thing.track_id for thing in desk.sink.moments[-1].objects] == ids
    # Ids go on, and so does what they are unique in.
    assert {moment.session for moment in desk.sink.moments} == {desk.threads.session}


def test_every_look_at_an_image_has_a_number_and_so_has_taking_everything_back(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    assert desk.threads.emptied() is None
    desk.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)
    desk.order().get(timeout=30)
    assert wait_for(lambda: len(desk.sink.moments) == 3)
    assert [moment.revision for moment in desk.sink.moments] == [1, 2, 3]
    assert [len(moment.objects) for moment in desk.sink.moments] == [0, OBJECTS, OBJECTS]
    desk.threads.stop()
    emptied = desk.threads.emptied()
    assert emptied is not None
    assert (emptied.stamp, emptied.objects, emptied.revision) == (picture.stamp, (), 4)
    assert emptied.session == desk.threads.session
    desk.threads.start()
    # The same image again, after all was taken back, and another one.
    desk.put(picture)
    assert wait_for(lambda: desk.sink.moments[-1].revision == 5 and desk.known() == OBJECTS)
    desk.put(replace(picture, stamp=SECOND))
    assert wait_for(lambda: desk.sink.moments[-1].stamp == SECOND)
    assert desk.sink.moments[-1].revision == 1


def test_sessions_are_drawn_from_all_of_64_bits() -> None:
    drawn = [
        ObjectThreads(ObjectPipeline(GeometricReconstructor()), FrameQueue(), [], NotingReport()).session
        for _ in range(64)
    ]
    assert len(set(drawn)) == len(drawn) and min(drawn) > 0 and max(drawn) < 2**64
    # None of them would do with one chance in 2^64.
    assert max(drawn) >= 2**63
    assert min(drawn) < 2**63


def test_every_sink_is_shown_every_moment_and_the_report_told_of_each_stage(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    labels = picture.labels.copy()
    labels[:2, :2] = 60
    desk.put(replace(picture, labels=labels))
    assert wait_for(lambda: desk.known() == OBJECTS)
    assert wait_for(lambda: len(desk.report.seen) == len(desk.sink.moments) == 2)
    assert desk.second_sink.moments == desk.sink.moments
    for moment in desk.sink.moments:
        assert (moment.stamp, moment.frame_id, moment.camera) == (picture.stamp, *2 * [picture.frame_id])
        assert (moment.is_fixed, moment.is_metric) == (False, True)
    assert desk.report.seen == 2 * [(picture.stamp, {"empty_mask": 1})]
    assert desk.report.out == {"objects": 2 * [picture.stamp]}
    assert desk.report.batches == [OBJECTS]
    assert {"track", "publish", "associate", "follow"} <= set(desk.report.stages)


def test_objects_are_shown_in_the_frame_that_they_are_tracked_in(
    picture: Frame, wait_for: Callable[..., Any]
) -> None:
    source, sink = FrameQueue(), NotingSink[SeenObjects]()
    pipeline = ObjectPipeline(GeometricReconstructor())
    threads = ObjectThreads(pipeline, source, [sink], NotingReport(), TrackingFrame("map"))
    threads.start()
    source.frames.put(picture)
    assert wait_for(lambda: sink.moments)
    threads.stop()
    moment = sink.moments[0]
    assert (moment.frame_id, moment.is_fixed, moment.camera) == ("map", True, picture.frame_id)
