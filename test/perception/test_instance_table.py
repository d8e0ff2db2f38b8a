"""All instances in one pass, against looking at each of them by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.instance_table import InstanceTable, instance_table
from sam3d_ros.perception.window import Window

#: Ids at both ends of what labels hold, neighbours among them.
IDS = (1, 2, 3, 40, 255, 256, 65534, 65535)
SIDES = st.one_of(st.integers(1, 4), st.integers(1, 90))


def naive(labels: np.ndarray) -> dict[int, tuple[int, list[int]]]:
    """Id -> pixels, and first row, row behind the last, first column, column behind the last."""
    found = {}
    for instance_id in np.unique(labels):
        if instance_id:
            places = np.argwhere(labels == instance_id)
            (top, left), (bottom, right) = places.min(axis=0), places.max(axis=0) + 1
            found[int(instance_id)] = (len(places), [int(top), int(bottom), int(left), int(right)])
    return found


def told(table: InstanceTable) -> dict[int, tuple[int, list[int]]]:
    rows = zip(table.ids.tolist(), table.areas.tolist(), table.boxes.tolist(), strict=True)
    return {instance_id: (area, box) for instance_id, area, box in rows}


def drawn(seed: int, height: int, width: int, noise: float) -> np.ndarray:
    """Overlapping rectangles, some of whose pixels have any label at all."""
    random = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint16)
    for instance_id in random.permutation(IDS)[: random.integers(0, len(IDS) + 1)]:
        top, left = random.integers(0, height), random.integers(0, width)
        labels[top : top + random.integers(1, height + 1), left : left + random.integers(1, width + 1)] = (
            instance_id
        )
    spoiled = random.random(labels.shape) < noise
    labels[spoiled] = random.choice([0, *IDS], size=int(np.count_nonzero(spoiled)))
    return labels


@settings(max_examples=150)
@given(seed=st.integers(0, 2**31), height=SIDES, width=SIDES, noise=st.sampled_from([0.0, 0.02, 1.0]))
@example(seed=0, height=1, width=1, noise=1.0)
@example(seed=1, height=1, width=300, noise=0.5)
@example(seed=2, height=300, width=1, noise=0.5)
@example(seed=3, height=1, width=300, noise=0.0)
@example(seed=4, height=300, width=1, noise=0.0)
def test_the_table_says_what_a_look_at_each_instance_says(
    seed: int, height: int, width: int, noise: float
) -> None:
    labels = drawn(seed, height, width, noise)
    table = instance_table(labels)
    assert told(table) == naive(labels)
    assert (table.ids.dtype, table.areas.dtype, table.boxes.dtype) == (np.int64,) * 3
    assert table.boxes.shape == (len(table.ids), 4)
    assert (np.diff(table.ids) > 0).all()


@settings(max_examples=50)
@given(seed=st.integers(0, 2**31), height=SIDES, width=SIDES)
def test_views_of_an_image_are_read_like_copies(seed: int, height: int, width: int) -> None:
    """Transposed, flipped, or every second pixel: runs are those of the view, not those of the memory."""
    labels = drawn(seed, height, width, 0.02)
    for view in (labels.T, labels[::-1, ::-1], labels[::2, ::2], labels[height // 2 :, width // 2 :]):
        assert told(instance_table(view)) == naive(view)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 9)])
def test_an_image_without_instances_has_an_empty_table(shape: tuple[int, int]) -> None:
    table = instance_table(np.zeros(shape, np.uint16))
    assert (table.ids.shape, table.areas.shape, table.boxes.shape) == ((0,), (0,), (0, 4))
    assert table.index(1) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 9)])
def test_one_instance_may_fill_the_image(shape: tuple[int, int]) -> None:
    table = instance_table(np.full(shape, 65535, np.uint16))
    assert told(table) == {65535: (shape[0] * shape[1], [0, shape[0], 0, shape[1]])}


def test_an_instance_that_goes_on_in_the_next_row_is_not_one_run() -> None:
    """The last pixel of a row and the first one of the next are neighbours in memory only."""
    labels = np.array([[0, 0, 5], [5, 0, 0]], np.uint16)
    assert told(instance_table(labels)) == {5: (2, [0, 2, 0, 3])}


@settings(max_examples=50)
@given(seed=st.integers(0, 2**31), height=SIDES, width=SIDES)
def test_rows_are_found_by_their_id_and_others_are_not(seed: int, height: int, width: int) -> None:
    labels = drawn(seed, height, width, 0.02)
    table, expected = instance_table(labels), naive(labels)
    for instance_id in (-1, 0, *IDS, 7, 65536, 10**6):
        row = table.index(instance_id)
        assert (row is not None) == (instance_id in expected)
        if row is not None:
            assert table.window(row) == Window(*expected[instance_id][1])


def test_a_frame_tells_the_ids_of_its_table() -> None:
    labels = drawn(5, 30, 40, 0.1)
    camera = Camera(40, 30, 50.0, 50.0, 20.0, 15.0)
    rgb, points = np.zeros((30, 40, 3), np.uint8), np.zeros((30, 40, 3), np.float32)
    frame = Frame(0, "camera", rgb, labels, PointMap(points), PointsSource.DEPTH, camera)
    assert frame.instance_ids() == sorted(naive(labels))
