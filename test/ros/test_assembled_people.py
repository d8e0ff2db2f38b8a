"""Detections that come in place of labels, and keypoints that come beside, found by their stamps."""

from __future__ import annotations

from assembler_bench import MS, PERIOD, plain

from sam3d_ros.ros.faults import Fault
from sam3d_ros.ros.frame_assembler import Drop, Input


def test_detections_may_say_what_is_in_an_image_in_place_of_labels():
    bench = plain(located_by=Input.DETECTIONS)
    bench.add(Input.CAMERA_INFO, 0)
    bench.add(Input.IMAGE, 0, PERIOD)
    assert bench.take() is None
    bench.add(Input.DETECTIONS, PERIOD)
    found = bench.take()
    assert found.detections == (Input.DETECTIONS, PERIOD) and found.labels is None
    assert bench.assembler.drops == {(Input.IMAGE, Drop.NO_DETECTIONS): 1}


def test_detections_that_come_too_late_are_named_as_labels_are():
    bench = plain(located_by=Input.DETECTIONS, queue_size=5, wait=0.1)
    for i in range(10):
        bench.add(Input.IMAGE, i * PERIOD)
    bench.add(Input.DETECTIONS, 3 * PERIOD)
    assert bench.take() is None
    (record,) = bench.faults.records()
    assert record.fault is Fault.LABELS_TOO_LATE and record.message.startswith("detections are 0.20 s behind")
    bench.add(Input.DETECTIONS, 8 * PERIOD)
    bench.clock.now = 0.2
    assert bench.take() is None
    assert bench.faults.records()[0].message == "image and detections come, but no camera_info"


def test_keypoints_are_used_when_they_are_there_and_waited_for_no_longer_than_allowed():
    bench = plain(wait=0.1, labels_tolerance=0.01)
    bench.complete(0)
    bench.add(Input.KEYPOINTS, 0)
    assert bench.take().keypoints == (Input.KEYPOINTS, 0)
    bench.complete(PERIOD)
    assert bench.take().keypoints is None
    bench.assembler.expect_keypoints = True
    bench.complete(2 * PERIOD)
    assert bench.take() is None
    bench.add(Input.KEYPOINTS, 2 * PERIOD + 5 * MS)
    assert bench.take().keypoints == (Input.KEYPOINTS, 2 * PERIOD + 5 * MS)
    assert bench.faults.records() == ()
    bench.complete(3 * PERIOD)
    assert bench.take() is None
    bench.clock.now = 0.11
    found = bench.take()
    assert found.stamp == 3 * PERIOD and found.keypoints is None
    (record,) = bench.faults.records()
    assert record.fault is Fault.MISSING_INPUT and "no keypoints within 0.01 s" in record.message


def test_keypoints_of_other_images_are_forgotten():
    bench = plain(queue_size=7)
    for i in range(20):
        bench.add(Input.KEYPOINTS, i * PERIOD)
    assert bench.assembler.pending()[Input.KEYPOINTS] == 7
    assert bench.assembler.drops == {(Input.KEYPOINTS, Drop.NO_IMAGE): 13}
    bench.complete(25 * PERIOD)
    assert bench.take().keypoints is None
    assert bench.assembler.pending()[Input.KEYPOINTS] == 0
