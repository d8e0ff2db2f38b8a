"""One source a process, read by several nodes over real topics: what it subscribes to, and how often it decodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from node_bench import FRAME, TENTH, Pipeline, SmallCamera, both_read, readers_of
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import LabelInfo

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.nodes.player_messages import label_info_message
from sam3d_ros.nodes.sources.input_settings import InputSettings, PeopleInputs, PeopleInputSettings
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.ros.decoding import IMAGE, LABELS, POINT_MAP
from sam3d_ros.ros.faults import FaultError
from sam3d_ros.ros.frame_assembler import Input
from sam3d_ros.ros.frame_builder import FrameBuilderConfig
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import transform_message

#: Images of a test.
FRAMES = 6
#: Topics that every reader of labels subscribes to.
TOPICS = ("image", "labels", "camera_info", "depth", "depth/camera_info", "label_info")


def counted(pipeline: Pipeline) -> dict[str, int]:
    """What its source took in and decoded."""
    counts = pipeline.source.decoding.counts()
    return {
        "taken": pipeline.source.taken[Input.IMAGE],
        **{kind: counts.get(kind, 0) for kind in (IMAGE, LABELS, POINT_MAP)},
    }


def test_two_readers_take_decode_and_map_every_image_once(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    camera.add("depth")
    first, second = pipelines("first"), pipelines("second")
    assert first.source is second.source
    for pipeline in (first, second):
        pipeline.open()
    both_read(camera, wait_for, first, second)
    for topic in TOPICS:
        assert wait_for(lambda topic=topic: readers_of(probe.node, topic) == ["first"])
    before, sent = counted(first), camera.sent
    for _ in range(FRAMES):
        stamp = camera.send()
        assert wait_for(lambda stamp=stamp: stamp in first.stamps() and stamp in second.stamps())
        mine, others = first.frames[-1], second.frames[-1]
        assert mine is not others
        assert mine.rgb is others.rgb and mine.labels is others.labels and mine.points is others.points
        assert mine.points_source is PointsSource.DEPTH
    assert camera.sent - sent == FRAMES
    after = counted(first)
    assert {name: after[name] - before[name] for name in after} == dict.fromkeys(after, FRAMES)
    assert set(first.reader.counts()) >= {"image taken", "depth taken", IMAGE, LABELS, POINT_MAP}


def test_a_reader_that_falls_behind_decodes_nothing_that_was_decoded(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, wait_for: Any
) -> None:
    quick, slow = pipelines("quick"), pipelines("slow")
    for pipeline in (quick, slow):
        pipeline.open()
    both_read(camera, wait_for, quick, slow)
    before, known = counted(quick), set(quick.stamps())
    slow.goes_on.clear()
    for _ in range(FRAMES):
        stamp = camera.send()
        assert wait_for(lambda stamp=stamp: stamp in quick.stamps())
    slow.goes_on.set()
    assert wait_for(lambda: stamp in slow.stamps())
    built = {*quick.stamps(), *slow.stamps()} - known
    assert len(built) == FRAMES
    assert {name: count - before[name] for name, count in counted(quick).items()} == dict.fromkeys(
        before, FRAMES
    )


def test_with_one_reader_alone_no_array_is_kept(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, wait_for: Any
) -> None:
    reader = pipelines("alone")
    reader.open()
    both_read(camera, wait_for, reader)
    assert not any(reader.source.decoding._made.values())


def test_who_reads_boxes_shares_images_and_takes_no_labels(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    people = PeopleInputs(PeopleInputSettings(people_from="detections"), ("nose",))
    objects, boxes = pipelines("objects"), pipelines("boxes", people=people)
    assert objects.source is boxes.source
    for pipeline in (objects, boxes):
        pipeline.open()
    wanted = {"image": "objects", "labels": "objects", "label_info": "objects"}
    wanted |= dict.fromkeys(("detections", "detections/label_info", "keypoints"), "boxes")
    for topic, reader in wanted.items():
        assert wait_for(lambda topic=topic, reader=reader: readers_of(probe.node, topic) == [reader])
    objects.close()
    assert wait_for(lambda: readers_of(probe.node, "image") == ["boxes"])
    assert wait_for(lambda: readers_of(probe.node, "labels") == readers_of(probe.node, "label_info") == [])


@pytest.mark.parametrize("carrying_node", ["deactivates", "ends"])
def test_the_other_reader_goes_on_when_the_carrying_node(
    carrying_node: str,
    pipelines: Callable[..., Pipeline],
    camera: SmallCamera,
    probe: Any,
    wait_for: Any,
) -> None:
    first, second = pipelines("first"), pipelines("second")
    for pipeline in (first, second):
        pipeline.open()
    names = probe.node.create_publisher(LabelInfo, "label_info", qos_profile("latched"))
    names.publish(label_info_message({1: "mug"}, header_message(0, "")))
    both_read(camera, wait_for, first, second)
    assert wait_for(lambda: second.source.names)
    second.source.names.clear()
    first.close()
    if carrying_node == "ends":
        first.destroy()
    read_by_first = first.stamps()
    for topic in TOPICS:
        assert wait_for(lambda topic=topic: readers_of(probe.node, topic) == ["second"])
    both_read(camera, wait_for, second)
    assert first.stamps() == read_by_first
    # What is latched comes to the new subscription, too.
    assert wait_for(lambda: second.source.names) == {Input.LABELS: {1: "mug"}}
    probe.do(lambda: probe.node.destroy_publisher(names))
    # Transforms go on coming, from whichever node listens.
    listening = "second" if carrying_node == "ends" else "first"
    assert wait_for(lambda: readers_of(probe.node, "/tf") == [listening])
    assert wait_for(lambda: transform_arrives(second, probe))


def transform_arrives(pipeline: Pipeline, probe: Any) -> bool:
    """Whether a source can place another frame at a stamp that was never told of before."""
    publisher = probe.node.create_publisher(TFMessage, "/tf", 10)
    newest = max(pipeline.stamps())
    for stamp in (newest - TENTH, newest + TENTH):
        pose = Similarity(translation=np.array([1.0, 0.0, 0.0]))
        moved: TransformStamped = transform_message(header_message(stamp, FRAME), "mast", pose)
        publisher.publish(TFMessage(transforms=[moved]))
    try:
        found = pipeline.source.lookup(FRAME, "mast", newest)
    except FaultError:
        return False
    finally:
        probe.do(lambda: probe.node.destroy_publisher(publisher))
    return bool(found.translation[0] == 1.0)


def test_nothing_is_subscribed_to_when_the_last_reader_closes(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    first, second = pipelines("first"), pipelines("second")
    for pipeline in (first, second):
        pipeline.open()
    both_read(camera, wait_for, first, second)
    topics = (*TOPICS, "points")
    assert wait_for(lambda: all(readers_of(probe.node, topic) for topic in topics))
    second.close()
    assert wait_for(lambda: all(readers_of(probe.node, topic) == ["first"] for topic in topics))
    first.close()
    assert wait_for(lambda: not any(readers_of(probe.node, topic) for topic in topics))
    # And both begin anew.
    for pipeline in (second, first):
        pipeline.open()
    assert wait_for(lambda: all(readers_of(probe.node, topic) == ["second"] for topic in topics))
    both_read(camera, wait_for, first, second)
    for pipeline in (first, second):
        pipeline.close()
        pipeline.destroy()
    assert wait_for(lambda: readers_of(probe.node, "/tf") == [])


def test_nodes_that_agree_share_a_source_and_others_have_their_own(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    first = pipelines("first")
    assert pipelines("same").source is first.source
    others = [
        pipelines("quality", settings=InputSettings(input_qos="reliable")),
        pipelines("fixed", frames=FrameBuilderConfig(target_frame="map")),
        pipelines("topics", cli_args=["--ros-args", "-r", "labels:=other_labels"]),
        pipelines("names", cli_args=["--ros-args", "-r", "label_info:=other_names"]),
        pipelines("names_of_boxes", cli_args=["--ros-args", "-r", "detections/label_info:=other_names"]),
        pipelines("space", namespace="elsewhere"),
    ]
    sources = [pipeline.source for pipeline in others]
    assert len({id(source) for source in [first.source, *sources]}) == 1 + len(others)
    # Each takes its messages itself.
    for pipeline in (first, others[1]):
        pipeline.open()
    assert wait_for(lambda: readers_of(probe.node, "image") == ["first", "fixed"])
    before = counted(first)
    both_read(camera, wait_for, first)
    assert counted(first)["taken"] > before["taken"]


def sweeps_read(probe: Any) -> bool:
    return bool(readers_of(probe.node, "points"))


def test_sweeps_are_left_alone_while_depth_is_published(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    camera.add("points")
    reader = pipelines("reader")
    reader.open()

    def read(*, sweeps: bool) -> bool:
        reader.follow()
        return sweeps_read(probe) is sweeps

    def newest(source: PointsSource) -> bool:
        stamp = camera.send()
        found = wait_for(lambda: reader.frames and reader.frames[-1].stamp == stamp, 0.5)
        return bool(found) and reader.frames[-1].points_source is source

    # Without depth they are all there is.
    assert wait_for(lambda: read(sweeps=True))
    assert wait_for(lambda: newest(PointsSource.LIDAR))
    camera.add("depth")
    assert wait_for(lambda: read(sweeps=False))
    assert wait_for(lambda: newest(PointsSource.DEPTH))
    taken = reader.source.taken[Input.POINTS]
    for _ in range(FRAMES):
        assert newest(PointsSource.DEPTH)
    assert reader.source.taken[Input.POINTS] == taken
    assert read(sweeps=False)
    camera.remove("depth")
    assert wait_for(lambda: read(sweeps=True))
    assert wait_for(lambda: newest(PointsSource.LIDAR))
    assert reader.source.taken[Input.POINTS] > taken


def test_sweeps_are_read_beside_depth_that_cannot_be_used(
    pipelines: Callable[..., Pipeline],
    camera: SmallCamera,
    probe: Any,
    wait_for: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for sensor in ("depth", "points"):
        camera.add(sensor)
    reader = pipelines("reader")
    reader.open()

    def newest(source: PointsSource, *, broken_depth: bool) -> bool:
        reader.follow()
        stamp = camera.send(broken_depth=broken_depth)
        found = wait_for(lambda: reader.frames and reader.frames[-1].stamp == stamp, 0.5)
        return bool(found) and reader.frames[-1].points_source is source

    assert wait_for(lambda: newest(PointsSource.DEPTH, broken_depth=False) and not sweeps_read(probe))
    assert wait_for(lambda: newest(PointsSource.LIDAR, broken_depth=True))
    assert {record.fault.label for record in reader.report.faults.records()} >= {"unknown_encoding"}
    # A depth image that is good again does not end the doubt at once.
    assert wait_for(lambda: newest(PointsSource.DEPTH, broken_depth=False))
    assert sweeps_read(probe)
    monkeypatch.setattr("sam3d_ros.nodes.sources.frame_source.DEPTH_DOUBT", 0.0)
    assert wait_for(lambda: newest(PointsSource.DEPTH, broken_depth=False) and not sweeps_read(probe))


def test_sweeps_are_read_anew_by_who_left_when_there_was_depth(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    camera.add("depth")
    reader = pipelines("reader")
    reader.open()
    assert wait_for(lambda: reader.follow() or Input.POINTS not in reader.reader.needs())
    reader.close()
    camera.remove("depth")
    reader.open()
    assert wait_for(lambda: sweeps_read(probe))


def test_both_sensors_are_read_where_the_settings_say_what_is_expected(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    for sensor in ("depth", "points"):
        camera.add(sensor)
    reader = pipelines("reader", settings=InputSettings(auto_range_sensor=False))
    reader.open()
    both_read(camera, wait_for, reader)
    taken = reader.source.taken[Input.POINTS]
    for _ in range(FRAMES):
        reader.follow()
        both_read(camera, wait_for, reader)
    assert sweeps_read(probe)
    assert reader.source.taken[Input.POINTS] > taken


def test_a_sweep_is_read_as_long_as_one_of_two_readers_wants_it(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    camera.add("depth")
    first, second = pipelines("first"), pipelines("second")
    for pipeline in (first, second):
        pipeline.open()
    assert wait_for(lambda: readers_of(probe.node, "points") == ["first"])
    assert wait_for(lambda: first.follow() or Input.POINTS not in first.reader.needs())
    assert readers_of(probe.node, "points") == ["first"]
    assert wait_for(lambda: second.follow() or not sweeps_read(probe))


def test_a_clock_that_jumps_back_takes_the_transforms_of_its_time_along(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    first, second = pipelines("first"), pipelines("second")
    for pipeline in (first, second):
        pipeline.open()
    both_read(camera, wait_for, first, second)
    assert wait_for(lambda: transform_arrives(first, probe))
    newest = max(first.stamps())
    camera.rewind()
    both_read(camera, wait_for, first, second)
    with pytest.raises(FaultError):
        first.source.lookup(FRAME, "mast", newest)
    for pipeline in (first, second):
        assert "time_jump" in {record.fault.label for record in pipeline.report.faults.records()}


def test_rates_are_told_of_what_is_read(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, wait_for: Any
) -> None:
    reader = pipelines("reader")
    reader.open()
    both_read(camera, wait_for, reader)
    health = {entry.topic: entry for entry in reader.reader.health()}
    assert {name for name, entry in health.items() if entry.required} == {"/image", "/labels", "/camera_info"}
    assert {"/depth", "/depth/camera_info", "/points"} <= set(health)
    assert np.isfinite(health["/image"].age) and not np.isfinite(health["/depth"].age)
