"""The threads that follow objects and make meshes, with the real pipeline on simulated frames."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import pytest
from object_desk import OBJECTS, SECOND, Desk
from thread_bench import FrameQueue, NotingReport, NotingSink

from sam3d_ros.nodes.boundary import Boundary
from sam3d_ros.nodes.frame_threads import TrackingFrame
from sam3d_ros.nodes.object_threads import ObjectThreads
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.perception.scenes.joint_scene import SeenObjects
from sam3d_ros.perception.tracking.following import Followed, Follower


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


def test_a_batch_for_what_was_before_the_clock_jumped_back_is_given_up(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.reconstructor.gate.clear()
    desk.put(replace(picture, stamp=60 * SECOND))
    assert wait_for(lambda: len(desk.reconstructor.batches) == 1)
    desk.put(replace(picture, stamp=SECOND))
    # The first batch never gets past the gate, and makes room for the objects of now.
    assert wait_for(lambda: len(desk.reconstructor.batches) == 2)
    assert desk.report.batches == [] and desk.report.failures == []
    desk.reconstructor.gate.set()
    assert wait_for(lambda: desk.known() == OBJECTS)
    assert desk.report.batches == [OBJECTS]


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
