"""The assembler, driven by a clock of the test's own, against what a person would match by hand."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from assembler_bench import MS, PERIOD, Bench, plain
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.ros.faults import Fault
from sam3d_ros.ros.frame_assembler import AssemblerConfig, Drop, FrameAssembler, Input


def test_a_set_has_the_messages_of_its_stamp():
    bench = Bench(expect_points=True)
    for stamp in (0, PERIOD, 2 * PERIOD):
        bench.complete(stamp, Input.DEPTH, Input.DEPTH_INFO, Input.POINTS)
    found = bench.take()
    assert found.stamp == 2 * PERIOD
    for name in ("image", "labels", "camera_info", "depth", "depth_info", "points"):
        assert getattr(found, name) == (Input(name.replace("depth_info", "depth/camera_info")), 2 * PERIOD)
    assert bench.take() is None


def test_labels_may_come_long_after_their_image():
    bench = plain()
    bench.add(Input.CAMERA_INFO, 0)
    for i in range(20):
        bench.add(Input.IMAGE, i * PERIOD)
        assert bench.take() is None
    bench.add(Input.LABELS, 3 * PERIOD)
    found = bench.take()
    assert found.image == (Input.IMAGE, 3 * PERIOD)
    assert bench.assembler.drops == {(Input.IMAGE, Drop.NO_LABELS): 3}
    # The images after it still wait for theirs.
    bench.add(Input.LABELS, 19 * PERIOD)
    assert bench.take().stamp == 19 * PERIOD


def test_stamps_match_within_the_tolerance_only_and_the_nearest_image_wins():
    bench = plain(labels_tolerance=0.01)
    bench.add(Input.CAMERA_INFO, 0)
    bench.add(Input.IMAGE, 0, 15 * MS, 100 * MS)
    bench.add(Input.LABELS, 89 * MS)
    assert bench.take() is None
    bench.add(Input.LABELS, 9 * MS)
    found = bench.take()
    assert found.stamp == 15 * MS and found.labels == (Input.LABELS, 9 * MS)


def test_labels_of_a_lost_image_do_not_go_with_another_one():
    bench = plain()
    bench.add(Input.CAMERA_INFO, 0)
    bench.add(Input.IMAGE, 0, 34 * MS)  # the one of 17 ms was lost
    for stamp in (17 * MS, 34 * MS):
        bench.add(Input.LABELS, stamp)
    found = bench.take()
    assert found.stamp == 34 * MS and found.labels == (Input.LABELS, 34 * MS)
    assert bench.take() is None


def test_the_newest_complete_set_wins_and_the_others_are_counted():
    bench = plain()
    for i in range(5):
        bench.complete(i * PERIOD)
    bench.add(Input.IMAGE, 5 * PERIOD)
    assert bench.take().stamp == 4 * PERIOD
    assert bench.assembler.drops == {
        (Input.IMAGE, Drop.SUPERSEDED): 4,
        (Input.LABELS, Drop.SUPERSEDED): 4,
    }
    assert bench.assembler.pending()[Input.IMAGE] == 1


def looked_at(bench: Bench, spent: float, count: int = 6) -> int:
    """Take so many single sets, each looked at for some time; returns the next stamp."""
    for i in range(count):
        bench.complete(i * PERIOD)
        assert bench.take().stamp == i * PERIOD
        bench.clock.now += spent
        assert bench.take() is None
    return count * PERIOD


@pytest.mark.parametrize(
    ("share", "used"), [(0.0, 3), (0.1, 3), (0.3, 3), (0.45, 2), (0.6, 1), (0.99, 1), (1.0, 1), (3.0, 1)]
)
def test_of_a_burst_as_many_are_used_as_there_is_time_for_before_the_next_image(share, used):
    bench = plain()
    begin = looked_at(bench, share * PERIOD / 1e9)
    stamps = [begin + i * PERIOD for i in range(4)]
    for stamp in stamps:  # all at once, as a middleware brings what it had to send again
        bench.complete(stamp)
    for stamp in stamps[-used:]:
        assert bench.take().stamp == stamp
    assert bench.take() is None
    assert bench.assembler.drops.get((Input.IMAGE, Drop.SUPERSEDED), 0) == 4 - used


def test_frames_that_take_long_now_are_no_longer_queued():
    bench = plain()
    begin = looked_at(bench, 0.1 * PERIOD / 1e9)
    for i in range(60):
        bench.complete(begin + i * PERIOD)
        bench.take()
        bench.clock.now += 2.0 * PERIOD / 1e9
    begin += 60 * PERIOD
    for i in range(4):
        bench.complete(begin + i * PERIOD)
    assert bench.take().stamp == begin + 3 * PERIOD


def test_a_set_waits_for_what_is_expected_but_not_for_ever():
    bench = Bench(wait=0.1)
    bench.complete(0)
    assert bench.take() is None
    bench.clock.now = 0.05
    assert bench.take() is None
    bench.add(Input.DEPTH, 0)
    assert bench.take().depth == (Input.DEPTH, 0)
    bench.complete(PERIOD)
    bench.clock.now = 0.151
    found = bench.take()
    assert found.stamp == PERIOD and found.depth is None
    assert bench.faults.count(Fault.MISSING_INPUT) == 1


def test_a_later_message_of_an_expected_input_ends_the_wait():
    bench = Bench()
    bench.complete(0)
    bench.add(Input.DEPTH, PERIOD)  # the depth of this image was lost
    found = bench.take()
    assert found.stamp == 0 and found.depth is None


def test_a_near_message_does_not_take_the_place_of_the_exact_one_that_is_under_way():
    bench = Bench(tolerance=0.04)
    bench.add(Input.DEPTH, 0)
    bench.complete(PERIOD)
    assert bench.take() is None
    bench.add(Input.DEPTH, PERIOD)
    assert bench.take().depth == (Input.DEPTH, PERIOD)


def test_an_older_complete_set_is_taken_while_a_newer_one_waits():
    bench = Bench()
    bench.complete(0, Input.DEPTH)
    bench.complete(PERIOD)
    assert bench.take().stamp == 0
    bench.add(Input.DEPTH, PERIOD)
    assert bench.take().stamp == PERIOD


def test_an_input_that_is_not_expected_is_used_when_it_is_there():
    bench = plain()
    bench.complete(0)
    assert bench.take().depth is None
    bench.add(Input.DEPTH, PERIOD)
    bench.complete(PERIOD)
    assert bench.take().depth == (Input.DEPTH, PERIOD)
    assert bench.faults.records() == ()


def test_one_lidar_sweep_may_serve_several_images():
    bench = plain(points_tolerance=0.1)
    bench.add(Input.POINTS, 0)
    for i in (1, 2, 3, 4):
        bench.complete(i * PERIOD)
        found = bench.take()
        assert found.points == ((Input.POINTS, 0) if i <= 3 else None)


def test_the_last_calibration_holds_until_there_is_another():
    bench = plain()
    bench.complete(0)
    assert bench.take().camera_info == (Input.CAMERA_INFO, 0)
    bench.add(Input.IMAGE, PERIOD)
    bench.add(Input.LABELS, PERIOD)
    assert bench.take().camera_info == (Input.CAMERA_INFO, 0)
    bench.add(Input.CAMERA_INFO, 2 * PERIOD, 3 * PERIOD)
    bench.add(Input.IMAGE, 2 * PERIOD)
    bench.add(Input.LABELS, 2 * PERIOD)
    assert bench.take().camera_info == (Input.CAMERA_INFO, 2 * PERIOD)


def test_without_any_calibration_nothing_is_taken_and_the_fault_has_its_name():
    bench = plain(wait=0.1)
    bench.add(Input.IMAGE, 0)
    bench.add(Input.LABELS, 0)
    assert bench.take() is None
    assert bench.faults.count(Fault.MISSING_CAMERA_INFO) == 0
    bench.clock.now = 0.2
    for _ in range(5):
        assert bench.take() is None
    assert bench.faults.count(Fault.MISSING_CAMERA_INFO) == 1
    bench.add(Input.CAMERA_INFO, PERIOD)
    assert bench.take().stamp == 0


def test_memory_is_bounded_whatever_comes():
    bench = plain(queue_size=7)
    for i in range(1000):
        bench.add(Input.IMAGE, i * PERIOD)
        bench.add(Input.DEPTH, i * PERIOD)
        bench.add(Input.POINTS, i * PERIOD)
    assert max(bench.assembler.pending().values()) == 7
    assert bench.assembler.drops == {
        (Input.IMAGE, Drop.NO_LABELS): 993,
        (Input.DEPTH, Drop.NO_IMAGE): 993,
        (Input.POINTS, Drop.NO_IMAGE): 993,
    }


def test_labels_that_come_after_their_image_was_forgotten_are_named():
    bench = plain(queue_size=5)
    bench.add(Input.CAMERA_INFO, 0)
    for i in range(10):
        bench.add(Input.IMAGE, i * PERIOD)
    bench.add(Input.LABELS, 3 * PERIOD)
    assert bench.take() is None
    (record,) = bench.faults.records()
    assert record.fault is Fault.LABELS_TOO_LATE
    assert "0.20 s behind the images, of which 5 are kept" in record.message
    bench.add(Input.LABELS, 6 * PERIOD)
    assert bench.take().stamp == 6 * PERIOD
    assert bench.faults.count(Fault.LABELS_TOO_LATE) == 1


def test_complete_sets_that_nobody_takes_are_superseded():
    bench = plain(queue_size=3)
    for i in range(5):
        bench.complete(i * PERIOD)
    assert bench.assembler.drops[Input.IMAGE, Drop.SUPERSEDED] == 2


def test_a_clock_that_jumps_back_clears_everything_but_the_calibration():
    bench = Bench()
    for i in range(100, 110):
        bench.complete(i * PERIOD, Input.DEPTH)
    assert bench.take().epoch == 0
    bench.add(Input.IMAGE, 110 * PERIOD)
    bench.add(Input.DEPTH, 110 * PERIOD, 2 * PERIOD)  # depth crosses the jump first
    assert bench.faults.count(Fault.TIME_JUMP) == 0
    assert bench.add(Input.IMAGE, 2 * PERIOD) is True
    assert bench.faults.count(Fault.TIME_JUMP) == 1
    assert bench.assembler.epoch == 1
    bench.add(Input.LABELS, 110 * PERIOD)  # the segmenter is still at the old time
    bench.add(Input.LABELS, 2 * PERIOD)
    assert bench.add(Input.IMAGE, 3 * PERIOD) is False
    found = bench.take()
    assert found.stamp == 2 * PERIOD and found.epoch == 1 and found.depth is not None
    assert bench.faults.count(Fault.TIME_JUMP) == 1
    assert bench.assembler.drops[Input.IMAGE, Drop.TIME_JUMP] == 1


def test_every_input_may_be_the_first_to_cross_a_jump():
    for first in (Input.DEPTH, Input.POINTS, Input.LABELS, Input.CAMERA_INFO, Input.IMAGE):
        bench = Bench(expect_points=True)
        kinds = [Input.CAMERA_INFO, Input.IMAGE, Input.LABELS, Input.DEPTH, Input.POINTS]
        for kind in kinds:
            bench.add(kind, 1000 * PERIOD)
        assert bench.take().stamp == 1000 * PERIOD
        for kind in [first, *(kind for kind in kinds if kind is not first)]:
            bench.add(kind, PERIOD)
        found = bench.take()
        assert found.stamp == PERIOD and found.epoch == 1, first
        assert found.depth == (Input.DEPTH, PERIOD) and found.points == (Input.POINTS, PERIOD), first
        assert bench.faults.count(Fault.TIME_JUMP) == 1


def test_messages_older_than_what_was_taken_come_too_late():
    bench = plain()
    bench.complete(5 * PERIOD)
    assert bench.take().stamp == 5 * PERIOD
    bench.add(Input.IMAGE, 4 * PERIOD)
    bench.add(Input.LABELS, 4 * PERIOD)
    assert bench.take() is None
    assert bench.assembler.drops == {(Input.IMAGE, Drop.LATE): 1, (Input.LABELS, Drop.LATE): 1}
    assert bench.faults.records() == ()


def test_a_camera_that_does_not_stamp_its_images_is_named():
    bench = plain()
    for _ in range(3):
        bench.complete(0)
        bench.take()
    assert bench.faults.count(Fault.REPEATED_STAMP) == 2


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.booleans())
def test_whatever_the_order_of_arrival_sets_are_right_and_every_image_is_accounted_for(
    seed, count, expect_depth
):
    """Random losses, delays and jitter; deliveries of one input stay in order, as the middleware keeps them."""
    rng = np.random.default_rng(seed)
    bench = Bench(expect_depth=expect_depth, wait=0.05, queue_size=8)
    events: list[tuple[float, int, Input, int]] = []
    for kind in (Input.CAMERA_INFO, Input.IMAGE, Input.LABELS, Input.DEPTH):
        delay, when = rng.uniform(0, 0.3), 0.0
        for i in np.flatnonzero(rng.random(count) < 0.8).tolist():
            when = max(when, i * 0.033 + delay * rng.uniform(0.5, 1.0))
            jitter = int(rng.integers(-9, 10)) * MS if kind in (Input.DEPTH, Input.CAMERA_INFO) else 0
            events.append((when, i, kind, i * PERIOD + 20 * MS + jitter))
    images, taken, last = Counter(), [], -1
    for when, _, kind, stamp in sorted(events, key=lambda event: event[:2]):
        bench.clock.now = max(bench.clock.now, when)
        bench.add(kind, stamp)
        images[kind] += 1
        if rng.random() < 0.5:
            found = bench.take()
            if found is not None:
                taken.append(found)
                assert found.stamp > last
                last = found.stamp
    bench.clock.now += 1.0
    found = bench.take()
    if found is not None:
        assert found.stamp > last
        taken.append(found)
    for found in taken:
        assert found.image == (Input.IMAGE, found.stamp)
        assert found.labels[1] == found.stamp
        if found.depth is not None:
            assert abs(found.depth[1] - found.stamp) <= 10 * MS
    drops, pending = bench.assembler.drops, bench.assembler.pending()
    dropped = sum(n for (kind, _), n in drops.items() if kind is Input.IMAGE)
    assert images[Input.IMAGE] == len(taken) + dropped + pending[Input.IMAGE]
    assert max(pending.values()) <= 8
    assert bench.faults.count(Fault.TIME_JUMP) == 0


def test_a_waiting_thread_wakes_when_the_set_is_complete_or_its_wait_is_over():
    assembler = FrameAssembler(AssemblerConfig(wait=0.02))
    results = []
    waiter = threading.Thread(target=lambda: results.append(assembler.wait(30.0)))
    waiter.start()
    for kind in (Input.CAMERA_INFO, Input.IMAGE, Input.LABELS):
        assembler.add(kind, PERIOD, kind)
    waiter.join(30.0)
    assert results[0].stamp == PERIOD and results[0].depth is None  # nothing came to wake it for that
    assert assembler.wait(0.01) is None


def test_clearing_forgets_messages_but_not_the_calibration():
    bench = plain()
    bench.complete(0)
    bench.assembler.clear()
    assert bench.take() is None
    bench.add(Input.IMAGE, 0)
    bench.add(Input.LABELS, 0)
    assert bench.take() is not None


def test_threads_may_add_while_another_takes():
    assembler = FrameAssembler(AssemblerConfig(expect_depth=False, queue_size=1000))
    assembler.add(Input.CAMERA_INFO, 0, "calibration")
    stop, taken = threading.Event(), []

    def take() -> None:
        while not stop.is_set() or assembler.pending()[Input.LABELS]:
            found = assembler.wait(0.01)
            if found is not None:
                taken.append(found)
            elif stop.is_set():
                return

    taker = threading.Thread(target=take)
    taker.start()

    def add(kind: Input) -> None:
        for i in range(300):
            assembler.add(kind, i * PERIOD, (kind, i))

    adders = [threading.Thread(target=add, args=(kind,)) for kind in (Input.IMAGE, Input.LABELS, Input.DEPTH)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    stop.set()
    taker.join()
    stamps = [found.stamp for found in taken]
    assert stamps == sorted(set(stamps)) and stamps[-1] == 299 * PERIOD
    assert all(found.image[1] == found.labels[1] for found in taken)
