"""Reconstructions on demand, and how the threads of objects end and begin again."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from object_desk import OBJECTS, SECOND, Desk

from sam3d_ros.nodes.boundary import Cancelled
from sam3d_ros.nodes.object_threads import Order
from sam3d_ros.perception.frame import Frame


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


def test_an_order_of_all_where_there_is_nothing_is_answered(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any]
) -> None:
    desk.put(replace(picture, labels=np.zeros_like(picture.labels)))
    assert wait_for(lambda: desk.sink.moments)
    order = desk.order().get(timeout=10)
    assert order.result is None
    assert "no instance" in order.error
    assert not desk.report.failures
    desk.put(replace(picture, stamp=SECOND))
    assert wait_for(lambda: desk.known() == OBJECTS)
    assert desk.order().get(timeout=30).error == ""


def test_an_order_that_fails_anywhere_is_answered(
    desk: Desk, picture: Frame, wait_for: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.put(picture)
    assert wait_for(lambda: desk.known() == OBJECTS)

    def fails(*_arguments: Any, **_options: Any) -> None:
        raise IndexError("not foreseen")

    for place in ("integrate", "reconstruct"):
        with monkeypatch.context() as patched:
            patched.setattr(f"sam3d_ros.perception.pipeline.ObjectPipeline.{place}", fails)
            order = desk.order().get(timeout=10)
            assert order.result is None
            assert "not foreseen" in order.error
    assert desk.order().get(timeout=30).error == ""


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
    may_replace = "sam3d_ros.perception.tracking.adoption.may_replace"
    monkeypatch.setattr(may_replace, lambda *verdicts: True)
    assert desk.order().get(timeout=30).note == ""
    monkeypatch.setattr(may_replace, lambda *verdicts: False)
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
