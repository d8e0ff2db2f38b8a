"""Inputs that come and belong to no image are named, with how far off they are; those that do belong never are."""

from __future__ import annotations

import random

import numpy as np
import pytest
from assembler_bench import MS, PERIOD, Bench, plain
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.ros.faults import Fault
from sam3d_ros.ros.frame_assembler import Input
from sam3d_ros.ros.stamp_watch import PATIENCE

SECOND = 1000 * MS
#: A time of day.
NOW = 1_700_000_000 * SECOND
CLOCK_FAULTS = (Fault.MISMATCHED_STAMPS, Fault.FOREIGN_CLOCK, Fault.UNSTAMPED_INPUT)


def play(
    bench: Bench, kind: Input, offset: int, *, seconds: float = 2.0, period: int = 100 * MS, start: int = NOW
):
    """Images at a steady rate, and with each one a message of another input that is off by `offset`."""
    bench.add(Input.CAMERA_INFO, start)
    for i in range(round(seconds * SECOND / period)):
        stamp = start + i * period
        bench.clock.now += period / SECOND
        bench.add(Input.IMAGE, stamp)
        bench.add(kind, max(0, stamp + offset))
        bench.take()


def only(bench: Bench) -> tuple[Fault, str]:
    (record,) = (r for r in bench.faults.records() if r.fault in CLOCK_FAULTS)
    return record.fault, record.message


@pytest.mark.parametrize("kind", [Input.LABELS, Input.DETECTIONS, Input.KEYPOINTS, Input.DEPTH, Input.POINTS])
@pytest.mark.parametrize(
    ("offset", "fault", "words"),
    [
        (152 * MS, Fault.MISMATCHED_STAMPS, "0.152 s after the newest image, and no image has their stamp"),
        (-(10**15) * SECOND, Fault.UNSTAMPED_INPUT, "have the stamp 0"),
        (37 * SECOND, Fault.FOREIGN_CLOCK, "stamped in TAI, as PTP gives it, the images in UTC"),
        (-37 * SECOND, Fault.FOREIGN_CLOCK, "the images are stamped in TAI"),
        (5321 * SECOND - NOW, Fault.FOREIGN_CLOCK, "count seconds since some start"),
        (86400 * SECOND, Fault.FOREIGN_CLOCK, "86400.000 s after the newest image"),
    ],
)
def test_what_never_matches_is_named_within_two_seconds_with_its_cause(
    kind: Input, offset: int, fault: Fault, words: str
) -> None:
    # Sweeps that are 152 ms off are near the next image.
    located_by = kind if kind is Input.DETECTIONS else Input.LABELS
    bench = Bench(located_by=located_by, expect_depth=False, points_tolerance=0.04)
    play(bench, kind, offset)
    found, message = only(bench)
    assert found is fault and words in message and message.startswith(kind.value)
    assert bench.assembler.is_mismatched(kind)


def test_labels_of_now_over_images_of_a_simulation_are_named() -> None:
    bench = plain()
    play(bench, Input.LABELS, NOW, start=20 * SECOND)
    assert only(bench)[0] is Fault.FOREIGN_CLOCK
    assert "the images count seconds since some start" in only(bench)[1]


def test_a_fault_is_told_about_once_a_second() -> None:
    bench = plain()
    play(bench, Input.LABELS, 50 * MS, seconds=10.0, period=20 * MS)
    assert 8 <= bench.faults.count(Fault.MISMATCHED_STAMPS) <= 10


def test_what_matches_again_is_well_again() -> None:
    bench = plain()
    play(bench, Input.LABELS, 50 * MS)
    assert bench.assembler.is_mismatched(Input.LABELS)
    play(bench, Input.LABELS, 0, seconds=0.1, start=NOW + 10 * SECOND)
    assert not bench.assembler.is_mismatched(Input.LABELS)


def test_nothing_is_said_before_there_are_images() -> None:
    bench = plain()
    for i in range(50):
        bench.clock.now += 0.1
        bench.add(Input.LABELS, NOW + i * PERIOD)
    assert bench.faults.records() == ()


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**31),
    labels_late=st.integers(0, 20),
    depth_off=st.integers(-19, 19),
    every=st.integers(1, 30),
    loss=st.floats(0.0, 0.4),
)
def test_inputs_of_the_images_are_never_accused(
    seed: int, labels_late: int, depth_off: int, every: int, loss: float
) -> None:
    """Slow segmenters, few labels, depth beside the image; but where every image of some labels in a row is lost."""
    chance = random.Random(seed)
    bench = plain()
    bench.add(Input.CAMERA_INFO, NOW)
    came: set[int] = set()
    alone_since, excused = None, 0
    for i in range(200):
        bench.clock.now += PERIOD / SECOND
        stamp = NOW + i * PERIOD
        bench.add(Input.DEPTH, stamp + depth_off * MS)
        if chance.random() >= loss:
            bench.add(Input.IMAGE, stamp)
            came.add(stamp)
        if i >= labels_late and i % every == 0:
            labelled = stamp - labels_late * PERIOD
            bench.add(Input.LABELS, labelled)
            alone_since = None if labelled in came else (alone_since or bench.clock.now)
            excused += alone_since is not None and bench.clock.now - alone_since >= PATIENCE
        if chance.random() < 0.5:
            bench.take()
    assert sum(bench.faults.count(fault) for fault in CLOCK_FAULTS) <= excused


def test_two_publishers_of_two_clocks_are_named() -> None:
    bench = plain()
    for i in range(8):
        bench.clock.now += 0.2
        bench.complete((NOW if i % 2 else 100 * SECOND) + i * PERIOD)
    assert bench.faults.count(Fault.TWO_CLOCKS) >= 1
    assert f"back 3 times in {2 * 2 * 0.2:.1f} s" in next(
        r.message for r in bench.faults.records() if r.fault is Fault.TWO_CLOCKS
    )


def test_a_bag_that_begins_anew_now_and_then_has_one_clock() -> None:
    bench = plain()
    for _ in range(6):
        bench.clock.now += 6.0
        play(bench, Input.LABELS, 0)
    assert bench.faults.count(Fault.TWO_CLOCKS) == 0 and bench.faults.count(Fault.TIME_JUMP) == 5


def test_labels_whose_stamp_went_through_floating_seconds_belong_to_their_image() -> None:
    """As Python makes them of `Time.nanoseconds / 1e9`: off by a tenth of a microsecond in our time."""
    bench = plain()
    rng = np.random.default_rng(0)
    stamps = 1_790_000_000_000_000_000 + np.cumsum(rng.integers(20 * MS, 40 * MS, 50))
    off = []
    for stamp in stamps.tolist():
        seconds = stamp / 1e9
        rounded = int(seconds) * 1_000_000_000 + int((seconds - int(seconds)) * 1e9)
        off.append(rounded - stamp)
        bench.add(Input.CAMERA_INFO, stamp)
        bench.add(Input.IMAGE, stamp)
        bench.add(Input.LABELS, rounded)
        found = bench.take()
        assert found is not None and found.stamp == stamp and found.labels == (Input.LABELS, rounded)
    assert any(off) and bench.faults.records() == ()


@pytest.mark.parametrize("offset", [2_000, 100_000, -2_000])
def test_labels_of_another_stamp_belong_to_no_image(offset: int) -> None:
    bench = plain()
    for index in range(3):
        bench.add(Input.CAMERA_INFO, index * PERIOD)
        bench.add(Input.IMAGE, index * PERIOD)
        bench.add(Input.LABELS, index * PERIOD + offset)
        assert bench.take() is None
