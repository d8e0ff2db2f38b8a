"""The buffer against scipy's slerp, 4x4 matrices and the documented errors of tf2."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import tf2_ros
from geometry_msgs.msg import TransformStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.duration import Duration
from rclpy.time import Time
from scipy.spatial.transform import Rotation, Slerp

SECOND = 1_000_000_000

coordinates = st.floats(-100.0, 100.0)
quaternions = st.tuples(*[st.floats(-1.0, 1.0)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)
poses = st.tuples(st.tuples(coordinates, coordinates, coordinates), quaternions)


def sample(
    parent: str, child: str, stamp: int, xyz=(0.0, 0.0, 0.0), xyzw=(0.0, 0.0, 0.0, 1.0)
) -> TransformStamped:
    message = TransformStamped()
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECOND)
    message.child_frame_id = child
    t, q = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = map(float, xyz)
    q.x, q.y, q.z, q.w = (float(v) for v in np.asarray(xyzw) / np.linalg.norm(xyzw))
    return message


def matrix(message: TransformStamped) -> np.ndarray:
    t, q = message.transform.translation, message.transform.rotation
    m = np.eye(4)
    m[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    m[:3, 3] = t.x, t.y, t.z
    return m


def stamp_of(message: TransformStamped) -> int:
    return message.header.stamp.sec * SECOND + message.header.stamp.nanosec


def moving(*samples: TransformStamped, cache_time: Duration | None = None) -> tf2_ros.Buffer:
    buffer = tf2_ros.Buffer(cache_time)
    for message in samples:
        buffer.set_transform(message, "test")
    return buffer


def at(seconds: float) -> Time:
    return Time(nanoseconds=round(seconds * SECOND))


@given(a=poses, b=poses, ratio=st.floats(0.0, 1.0))
def test_between_two_samples_translation_is_lerp_and_rotation_slerp(a, b, ratio):
    start, end = 5 * SECOND, 6 * SECOND
    buffer = moving(sample("map", "base", start, *a), sample("map", "base", end, *b))
    stamp = start + round(ratio * SECOND)
    found = buffer.lookup_transform("map", "base", Time(nanoseconds=stamp))
    share = (stamp - start) / SECOND
    rotations = Rotation.from_quat([a[1], b[1]])
    # At exactly half a turn two arcs are equally short and either is right.
    if abs((rotations[0].inv() * rotations[1]).magnitude() - math.pi) > 1e-6:
        expected = Slerp([0.0, 1.0], rotations)(share).as_matrix()
        np.testing.assert_allclose(matrix(found)[:3, :3], expected, atol=1e-7)
    expected_translation = (1 - share) * np.array(a[0]) + share * np.array(b[0])
    np.testing.assert_allclose(matrix(found)[:3, 3], expected_translation, atol=1e-9)
    assert stamp_of(found) == stamp
    assert (found.header.frame_id, found.child_frame_id) == ("map", "base")


@given(steps=st.lists(poses, min_size=2, max_size=8), data=st.data())
def test_a_tree_answers_like_its_matrices(steps, data):
    """Every pair of frames of a random tree, against products of 4x4 matrices."""
    buffer = tf2_ros.Buffer()
    root_from: list[np.ndarray] = [np.eye(4)]
    for i, (xyz, xyzw) in enumerate(steps):
        parent = data.draw(st.integers(0, i))
        message = sample(f"f{parent}", f"f{i + 1}", SECOND, xyz, xyzw)
        set_transform = buffer.set_transform_static if data.draw(st.booleans()) else buffer.set_transform
        set_transform(message, "test")
        root_from.append(root_from[parent] @ matrix(message))
    target, source = (data.draw(st.integers(0, len(steps))) for _ in range(2))
    found = buffer.lookup_transform(f"f{target}", f"f{source}", at(1.0))
    np.testing.assert_allclose(matrix(found), np.linalg.inv(root_from[target]) @ root_from[source], atol=1e-9)


def test_outside_the_samples_is_an_extrapolation_that_names_times_and_frames():
    buffer = moving(sample("map", "base", 5 * SECOND), sample("map", "base", 6 * SECOND))
    with pytest.raises(tf2_ros.ExtrapolationException, match=r"into the future.*7\.0.*latest data.*6\.0"):
        buffer.lookup_transform("map", "base", at(7.0))
    with pytest.raises(
        tf2_ros.ExtrapolationException, match=r"into the past.*4\.0.*earliest data.*5\.0.*\[base\].*\[map\]"
    ):
        buffer.lookup_transform("map", "base", at(4.0))


def test_a_single_sample_holds_at_its_own_time_only():
    buffer = moving(sample("map", "base", 5 * SECOND, (1, 2, 3)))
    assert buffer.lookup_transform("map", "base", at(5.0)).transform.translation.y == 2.0
    with pytest.raises(tf2_ros.ExtrapolationException, match=r"only time 5\.0.* is in the buffer"):
        buffer.lookup_transform("map", "base", at(5.5))


def test_time_zero_is_the_latest_common_time():
    buffer = moving(
        sample("map", "base", 5 * SECOND, (0, 0, 0)),
        sample("map", "base", 7 * SECOND, (2, 0, 0)),
        sample("base", "arm", 4 * SECOND, (0, 0, 0)),
        sample("base", "arm", 6 * SECOND, (0, 5, 0)),
    )
    buffer.set_transform_static(sample("arm", "tool", 0, (0, 0, 1)), "test")
    found = buffer.lookup_transform("map", "tool", Time())
    assert stamp_of(found) == 6 * SECOND
    np.testing.assert_allclose(matrix(found)[:3, 3], (1, 5, 1))
    assert buffer.get_latest_common_time("map", "tool").nanoseconds == 6 * SECOND
    # Frames above the common ancestor do not matter.
    assert buffer.get_latest_common_time("base", "tool").nanoseconds == 6 * SECOND
    assert buffer.get_latest_common_time("base", "map").nanoseconds == 7 * SECOND
    assert buffer.get_latest_common_time("arm", "tool").nanoseconds == 0


@pytest.mark.parametrize("seconds", [0.0, 1.25])
def test_a_stamp_of_a_message_is_a_time(seconds: float) -> None:
    buffer = moving(
        sample("map", "base", SECOND, xyz=(1.0, 0.0, 0.0)),
        sample("map", "base", 3 * SECOND // 2, xyz=(2.0, 0.0, 0.0)),
    )
    stamp = at(seconds).to_msg()
    expected = buffer.lookup_transform("map", "base", at(seconds))
    assert expected.transform.translation.x == (1.5 if seconds else 2.0)
    assert buffer.lookup_transform("map", "base", stamp) == expected
    assert buffer.lookup_transform("map", "base", stamp, timeout=Duration(seconds=0.1)) == expected
    full = buffer.lookup_transform_full("map", stamp, "base", at(seconds), "map")
    assert full.transform == expected.transform
    assert buffer.can_transform("map", "base", stamp)
    assert buffer.wait_for_transform_async("map", "base", stamp).done()
    with pytest.raises(AttributeError, match="nanosec"):
        buffer.lookup_transform("map", "base", 1.25)


def test_a_frame_above_the_common_ancestor_that_cannot_be_told_does_not_matter():
    buffer = moving(
        sample("map", "base", SECOND),
        sample("base", "left", 5 * SECOND, (0, 1, 0)),
        sample("base", "right", 5 * SECOND, (0, -1, 0)),
    )
    assert buffer.lookup_transform("left", "right", at(5.0)).transform.translation.y == -2.0
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("map", "right", at(5.0))


def test_unknown_frames_separate_trees_and_bad_names():
    buffer = moving(sample("map", "base", SECOND), sample("world", "drone", SECOND))
    with pytest.raises(
        tf2_ros.LookupException, match='"arm" passed to lookupTransform argument source_frame'
    ):
        buffer.lookup_transform("map", "arm", at(1.0))
    with pytest.raises(tf2_ros.LookupException, match="does not exist"):
        buffer.lookup_transform("nowhere", "base", Time())
    with pytest.raises(tf2_ros.ConnectivityException, match="not part of the same tree"):
        buffer.lookup_transform("map", "drone", at(1.0))
    with pytest.raises(tf2_ros.ConnectivityException):
        buffer.lookup_transform("map", "drone", Time())
    with pytest.raises(tf2_ros.InvalidArgumentException, match="cannot be empty"):
        buffer.lookup_transform("", "base", Time())
    with pytest.raises(tf2_ros.InvalidArgumentException, match="cannot start with"):
        buffer.lookup_transform("/map", "base", Time())
    for error in (
        tf2_ros.LookupException,
        tf2_ros.ConnectivityException,
        tf2_ros.ExtrapolationException,
        tf2_ros.InvalidArgumentException,
        tf2_ros.TimeoutException,
    ):
        assert issubclass(error, tf2_ros.TransformException)


def test_a_frame_in_itself_is_the_identity():
    buffer = moving(sample("map", "base", 3 * SECOND, (1, 2, 3)))
    found = buffer.lookup_transform("base", "base", at(99.0))
    np.testing.assert_array_equal(matrix(found), np.eye(4))
    assert stamp_of(found) == 99 * SECOND
    assert stamp_of(buffer.lookup_transform("base", "base", Time())) == 3 * SECOND


def test_samples_older_than_the_cache_time_are_forgotten():
    buffer = moving(
        *(sample("map", "base", i * SECOND, (i, 0, 0)) for i in range(1, 31)), cache_time=Duration(seconds=4)
    )
    assert buffer.lookup_transform("map", "base", at(26.5)).transform.translation.x == 26.5
    with pytest.raises(tf2_ros.ExtrapolationException, match=r"earliest data is at time 26\.0"):
        buffer.lookup_transform("map", "base", at(25.5))
    default = moving(*(sample("map", "base", i * SECOND) for i in range(1, 31)))
    with pytest.raises(tf2_ros.ExtrapolationException, match=r"earliest data is at time 20\.0"):
        default.lookup_transform("map", "base", at(19.5))


def test_a_sample_from_before_the_cache_is_ignored_and_one_inside_it_is_sorted_in():
    buffer = moving(
        sample("map", "base", 20 * SECOND, (20, 0, 0)), sample("map", "base", 22 * SECOND, (22, 0, 0))
    )
    buffer.set_transform(sample("map", "base", 11 * SECOND, (99, 0, 0)), "late")
    buffer.set_transform(sample("map", "base", 21 * SECOND, (50, 0, 0)), "late")
    with pytest.raises(tf2_ros.ExtrapolationException, match="into the past"):
        buffer.lookup_transform("map", "base", at(19.0))
    assert buffer.lookup_transform("map", "base", at(20.5)).transform.translation.x == 35.0
    assert buffer.lookup_transform("map", "base", Time()).transform.translation.x == 22.0


@given(st.permutations(range(12)))
@settings(max_examples=30)
def test_the_order_of_arrival_does_not_matter(order):
    samples = [sample("map", "base", (i + 1) * SECOND // 2, (i * i, 0, 0)) for i in range(12)]
    buffer = moving(*(samples[i] for i in order))
    for i in range(11):
        stamp = Time(nanoseconds=(i + 1) * SECOND // 2 + SECOND // 4)
        assert (
            buffer.lookup_transform("map", "base", stamp).transform.translation.x
            == (i * i + (i + 1) ** 2) / 2
        )


def test_a_child_that_changes_its_parent_keeps_the_old_one_until_the_new_sample():
    buffer = moving(
        sample("map", "a", SECOND),
        sample("map", "a", 3 * SECOND),
        sample("map", "b", SECOND, (10, 0, 0)),
        sample("map", "b", 3 * SECOND, (10, 0, 0)),
        sample("a", "ball", SECOND, (0, 0, 1)),
        sample("b", "ball", 3 * SECOND, (0, 0, 2)),
    )
    np.testing.assert_allclose(matrix(buffer.lookup_transform("map", "ball", at(2.9)))[:3, 3], (0, 0, 1))
    np.testing.assert_allclose(matrix(buffer.lookup_transform("map", "ball", at(3.0)))[:3, 3], (10, 0, 2))


def test_a_loop_is_refused():
    buffer = moving(sample("a", "b", SECOND), sample("b", "c", SECOND), sample("c", "a", SECOND))
    buffer.set_transform(sample("map", "base", SECOND), "test")
    for time in (at(1.0), Time()):
        with pytest.raises(tf2_ros.LookupException, match="contains a loop"):
            buffer.lookup_transform("map", "b", time)


@pytest.mark.parametrize(
    "bad",
    [
        sample("map", "map", SECOND),
        sample("", "base", SECOND),
        sample("map", "", SECOND),
        sample("map", "base", SECOND, (math.nan, 0, 0)),
    ],
    ids=["self", "no parent", "no child", "nan"],
)
def test_malformed_samples_are_ignored(bad):
    buffer = moving(bad)
    assert not buffer.can_transform("map", "base", Time())
    assert buffer.all_frames_as_yaml() == "{}"


@pytest.mark.parametrize(
    ("norm", "accepted"), [(1.0, True), (1.004, True), (1.006, False), (0.9, False), (0.0, False)]
)
def test_rotations_must_be_unit_quaternions(norm, accepted):
    message = sample("map", "base", SECOND)
    message.transform.rotation.w = norm
    assert moving(message).can_transform("map", "base", at(1.0)) is accepted


def test_a_leading_slash_of_a_published_name_is_dropped():
    assert moving(sample("/map", "/base", SECOND)).can_transform("map", "base", at(1.0))


def test_static_transforms_hold_at_any_time_and_survive_clear():
    buffer = moving(sample("map", "base", 5 * SECOND))
    buffer.set_transform_static(sample("base", "camera", 3 * SECOND, (0, 0, 1)), "test")
    assert buffer.lookup_transform("base", "camera", at(1000.0)).transform.translation.z == 1.0
    assert stamp_of(buffer.lookup_transform("base", "camera", Time())) == 0
    buffer.clear()
    assert buffer.can_transform("base", "camera", at(2.0))
    with pytest.raises(tf2_ros.ExtrapolationException, match="cache is empty"):
        buffer.lookup_transform("map", "base", at(5.0))
    buffer.set_transform(sample("map", "base", 1 * SECOND), "after the clock jumped back")
    assert buffer.can_transform("map", "camera", at(1.0))


def test_lookup_full_goes_through_the_frame_that_stands_still():
    """Where was the camera two seconds ago, seen from where it is now?"""
    buffer = moving(*(sample("map", "camera", i * SECOND, (i, 0, 0)) for i in range(1, 6)))
    found = buffer.lookup_transform_full("camera", at(5.0), "camera", at(3.0), "map")
    assert found.transform.translation.x == -2.0
    assert stamp_of(found) == 5 * SECOND
    assert buffer.can_transform_full("camera", at(5.0), "camera", at(3.0), "map")
    assert not buffer.can_transform_full("camera", at(5.0), "camera", at(9.0), "map")


def test_can_transform_tells_why_not():
    buffer = moving(sample("map", "base", SECOND))
    assert buffer.can_transform("map", "base", at(1.0), return_debug_tuple=True) == (True, "")
    possible, reason = buffer.can_transform("map", "arm", at(1.0), return_debug_tuple=True)
    assert not possible
    assert "arm" in reason


def test_a_waiting_look_up_returns_when_the_sample_comes():
    buffer = moving(sample("map", "base", SECOND))
    timer = threading.Timer(0.1, buffer.set_transform, (sample("map", "base", 2 * SECOND, (7, 0, 0)), "late"))
    timer.start()
    found = buffer.lookup_transform("map", "base", at(2.0), timeout=Duration(seconds=10))
    timer.join()
    assert found.transform.translation.x == 7.0
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("map", "base", at(3.0), timeout=Duration(seconds=0, nanoseconds=30_000_000))


def test_a_future_is_done_when_the_sample_comes():
    buffer = moving(sample("map", "base", SECOND))
    assert buffer.wait_for_transform_async("map", "base", at(1.0)).done()
    future = buffer.wait_for_transform_async("map", "base", at(2.0))
    full = buffer.wait_for_transform_full_async("base", at(2.0), "base", at(1.0), "map")
    buffer.set_transform(sample("map", "other", 2 * SECOND), "test")
    assert not future.done()
    buffer.set_transform(sample("map", "base", 2 * SECOND), "test")
    assert future.done() and future.result() is True
    assert full.done()
    assert buffer._new_data_callbacks == []


def test_a_coroutine_may_wait_for_a_look_up():
    buffer = tf2_ros.Buffer()
    coroutine = buffer.lookup_transform_async("map", "base", at(1.0))
    assert coroutine.send(None) is None  # waits
    buffer.set_transform(sample("map", "base", SECOND, (4, 0, 0)), "test")
    with pytest.raises(StopIteration) as finished:
        coroutine.send(None)
    assert finished.value.value.transform.translation.x == 4.0


def test_threads_may_write_and_look_up_at_once():
    """Writers move a body along x = y = time; every answer must lie on that line, whatever the timing."""
    buffer = moving(sample("map", "base", SECOND, (1, 1, 0)))
    stop = threading.Event()
    wrong: list[object] = []

    def write() -> None:
        for i in range(2, 1500):
            x = i / 100
            buffer.set_transform(
                sample("map", "base", round(x * SECOND) + SECOND, (x + 1, x + 1, 0)), "writer"
            )

    def read() -> None:
        while not stop.is_set():
            t = buffer.lookup_transform("map", "base", Time())
            x, y = t.transform.translation.x, t.transform.translation.y
            if x != y or abs(stamp_of(t) / SECOND - x) > 1e-6:
                wrong.append((x, y, stamp_of(t)))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_frames_are_described_as_yaml():
    yaml = pytest.importorskip("yaml")
    buffer = moving(*(sample("map", "base", i * SECOND // 10) for i in range(10, 31)))
    buffer.set_transform_static(sample("base", "camera", 0), "test")
    frames = yaml.safe_load(buffer.all_frames_as_yaml())
    assert frames["base"] == {
        "parent": "map",
        "broadcaster": "test",
        "rate": 10.5,
        "most_recent_transform": 3.0,
        "oldest_transform": 1.0,
        "buffer_length": 2.0,
    }
    assert frames["camera"]["parent"] == "base"
    assert "map" not in frames
    assert "Frame base exists with parent map.\n" in buffer.all_frames_as_string()


def test_what_is_not_supported_says_so():
    with pytest.raises(NotImplementedError, match="BufferClient"):
        _ = tf2_ros.BufferClient
    with pytest.raises(NotImplementedError, match="look the transform up"):
        tf2_ros.Buffer().transform(object(), "map")
    with pytest.raises(NotImplementedError, match="twist"):
        tf2_ros.Buffer().lookup_twist_core("a", "b")
