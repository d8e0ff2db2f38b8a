"""Evidence is a part of its frame, and says what the whole image says."""

from __future__ import annotations

import gc
import weakref
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_views import (
    BARREL,
    STRAIGHT,
    assert_measured_alike,
    assert_same_estimate,
    assert_same_verdict,
    simulated,
)
from standing_solids import box, camera_above, look, placed

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.estimates import ScaleSource
from sam3d_ros.perception.evidence import (
    GRID_WIDTH,
    Cut,
    Evidence,
    Overview,
    cut,
    grid_stride,
)
from sam3d_ros.perception.fitting.refinement import refine
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.judging.verdict import judge
from sam3d_ros.perception.surroundings import without_surroundings
from sam3d_ros.perception.window import Window, straightened_window, window_around, window_of

RECONSTRUCTOR = GeometricReconstructor()
#: From barrels to pincushions.
LENSES = (
    *[("plumb_bob", (bend, -0.2 * bend, 0.001, -0.001)) for bend in (-0.3, -0.1, 0.05, 0.2)],
    *[("equidistant", (bend, -bend, 0.1 * bend, 0.0)) for bend in (-0.04, -0.01, 0.01, 0.04)],
)


def random_frame(seed: int, width: int, height: int, camera: Camera | None = None) -> Frame:
    """Rectangles and specks of labels over noise: every pixel differs from its neighbours."""
    random = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint16)
    for instance_id in random.permutation([1, 2, 3, 900, 65535])[: random.integers(1, 6)]:
        top, left = random.integers(0, height), random.integers(0, width)
        size = random.integers(1, max(2, height // 2)), random.integers(1, max(2, width // 2))
        labels[top : top + size[0], left : left + size[1]] = instance_id
    labels[random.random(labels.shape) < 0.001] = 7
    points = random.normal(size=(height, width, 3)).astype(np.float32)
    points[random.random(labels.shape) < 0.3] = np.nan
    rgb = random.integers(0, 256, (height, width, 3), np.uint8)
    camera = camera or Camera(width, height, 1.2 * width, 1.2 * width, width / 2, height / 2)
    return Frame(5, "camera", rgb, labels, PointMap(points), PointsSource.DEPTH, camera, {3: "cup"})


frames = st.builds(random_frame, st.integers(0, 2**31), st.integers(1, 500), st.integers(1, 120))


@st.composite
def windows_in(draw: st.DrawFn, shape: tuple[int, int]) -> Window:
    """Any part of an image of at least one pixel."""
    top, left = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
    bottom, right = draw(st.integers(top + 1, shape[0])), draw(st.integers(left + 1, shape[1]))
    return Window(top, bottom, left, right)


@settings(max_examples=40)
@given(frame=frames)
def test_evidence_is_a_part_of_its_frame(frame: Frame) -> None:
    pieces = cut(frame)
    assert [piece.instance_id for piece in pieces] == frame.instance_ids()
    for piece in pieces:
        mask = frame.labels == piece.instance_id
        cells = piece.window.slices
        np.testing.assert_array_equal(piece.rgb, frame.rgb[cells])
        np.testing.assert_array_equal(piece.labels, frame.labels[cells])
        np.testing.assert_array_equal(piece.points, frame.points[cells])
        np.testing.assert_array_equal(piece.depth, frame.points[cells][..., 2])
        np.testing.assert_array_equal(piece.rays, frame.camera.rays()[cells])
        np.testing.assert_array_equal(piece.mask, mask[cells])
        assert piece.pixels == np.count_nonzero(mask) == np.count_nonzero(piece.mask)
        assert piece.box == window_of(mask)
        assert piece.image_shape == mask.shape
        assert piece.touches_border == bool(
            mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        )
        assert piece.label == ("cup" if piece.instance_id == 3 else "")
        assert piece.stamp == frame.stamp and piece.camera is frame.camera
        assert piece.scale_source is ScaleSource.DEPTH
        # Half the longer side and eight pixels of room, as far as the image goes.
        assert piece.window == piece.box.grown(int(0.5 * piece.box.longest) + 8, mask.shape)


@settings(max_examples=40)
@given(data=st.data(), frame=frames, stride=st.integers(1, 9))
def test_looking_at_a_window_is_looking_at_the_frame(data: st.DataObject, frame: Frame, stride: int) -> None:
    """Pixel by pixel where it was cut out; beyond, what the first pixel of each cell shows."""
    piece = data.draw(st.sampled_from(cut(frame)))
    window = data.draw(windows_in(frame.labels.shape))
    labels, depth, rays = piece.looked_at(window, stride)
    every = np.mgrid[: frame.camera.height, : frame.camera.width].transpose(1, 2, 0)
    wanted = every[window.slices][stride // 2 :: stride, stride // 2 :: stride]
    own = np.zeros(frame.labels.shape, bool)
    own[piece.window.slices] = True
    cell = grid_stride(frame.camera.width)
    row, column = wanted[..., 0], wanted[..., 1]
    np.testing.assert_array_equal(rays, frame.camera.rays()[row, column])
    row, column = np.where(own[row, column][..., None], wanted, wanted // cell * cell).transpose(2, 0, 1)
    things = without_surroundings(frame.labels, piece.overview.surroundings, piece.instance_id)
    np.testing.assert_array_equal(labels, things[row, column])
    np.testing.assert_array_equal(depth, frame.points[row, column, 2])


@settings(max_examples=30)
@given(frame=frames)
def test_the_overview_is_the_frame_on_a_grid_and_its_background(frame: Frame) -> None:
    overview = Overview.of(frame)
    stride = overview.stride
    assert stride == grid_stride(frame.camera.width) == max(1, round(frame.camera.width / GRID_WIDTH))
    assert overview.grid_shape == overview.labels.shape
    np.testing.assert_array_equal(overview.labels, frame.labels[::stride, ::stride])
    np.testing.assert_array_equal(overview.points, frame.points[::stride, ::stride])
    assert overview.frame is frame
    assert (overview.stamp, overview.frame_id, overview.camera) == (5, "camera", frame.camera)
    measured = frame.points[np.isfinite(frame.points[..., 2])]
    known = {tuple(point): place for place, point in enumerate(measured.tolist())}
    places = [known[tuple(point)] for point in overview.background.tolist()]
    assert places == sorted(set(places)), "a sample in the order of the pixels"
    assert len(places) == min(1500, len(measured)) or len(places) == 1500
    if len(measured) < 1500:
        np.testing.assert_array_equal(overview.background, measured)


@pytest.mark.parametrize("pose", [None, Similarity(np.diag([1.0, -1.0, -1.0]), np.array([1.0, 2.0, 3.0]))])
def test_the_overview_knows_where_the_fixed_frame_is(pose: Similarity | None) -> None:
    overview = Overview.of(replace(random_frame(0, 40, 30), fixed_from_camera=pose))
    there = np.array([0.3, -0.2, 1.5])
    expected = there if pose is None else pose.apply_inverse(there)
    np.testing.assert_allclose(overview.camera_from_fixed.apply(there), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("source", "is_metric", "expected"),
    [
        (PointsSource.DEPTH, True, ScaleSource.DEPTH),
        (PointsSource.LIDAR, True, ScaleSource.LIDAR),
        (PointsSource.DEPTH, False, ScaleSource.PRIOR),
        (PointsSource.NONE, True, ScaleSource.PRIOR),
    ],
)
def test_what_a_size_rests_on_is_that_of_the_frame(
    source: PointsSource, is_metric: bool, expected: ScaleSource
) -> None:
    frame = replace(random_frame(0, 40, 30), points_source=source, is_metric=is_metric)
    assert frame.scale_source is expected
    assert {piece.scale_source for piece in cut(frame)} == {expected}


def arrays_of(piece: Evidence) -> dict[str, np.ndarray]:
    """All arrays that a piece of evidence, its point map and its overview hold."""
    held = {}
    for owner in (piece, piece.point_map, piece.overview):
        for name, value in vars(owner).items():
            if isinstance(value, np.ndarray):
                held[f"{type(owner).__name__}.{name}"] = value
    return held


@pytest.mark.parametrize("width", [160, 320])
def test_kept_evidence_has_memory_of_its_own(width: int) -> None:
    """Also of an image so small that the grid of its overview has a cell for every pixel."""
    frame = random_frame(3, width, 90)
    for piece in cut(frame):
        held = arrays_of(piece.kept())
        assert {"Evidence.rgb", "Evidence.labels", "PointMap.depth", "Overview.labels"} <= set(held)
        for name, array in held.items():
            for source in (frame.rgb, frame.labels, frame.points):
                assert not np.shares_memory(array, source), name


@pytest.mark.parametrize("camera", [STRAIGHT, BARREL], ids=["straight", "barrel"])
def test_kept_evidence_says_the_same(camera: Camera) -> None:
    for piece in cut(simulated(3, camera)):
        kept = piece.kept().kept()
        assert kept.overview.frame is None
        (found,), (expected,) = RECONSTRUCTOR.reconstruct([kept]), RECONSTRUCTOR.reconstruct([piece])
        assert_same_estimate(found, expected)
        assert_measured_alike(kept, piece)
        refined = refine(kept, found, metric=False)
        assert_same_estimate(refined, refine(piece, expected, metric=False))
        far = replace(refined, camera_from_object=Similarity(translation=np.array([0.1, 0.0, 1.0])))
        for estimate in (refined, far):
            assert_same_verdict(judge(kept, estimate), judge(piece, estimate))


def test_kept_evidence_lets_its_frame_go() -> None:
    frame = replace(simulated(3))
    kept = [piece.kept() for piece in cut(frame)]
    alive = weakref.ref(frame)
    del frame
    gc.collect()
    assert alive() is None
    assert sum(array.nbytes for piece in kept for array in arrays_of(piece).values()) > 0


def test_evidence_is_made_once_and_measured_once() -> None:
    pieces = Cut(simulated(3))
    first = pieces.evidence(1)
    assert pieces.evidence(1) is first
    assert first.overview is pieces.evidence(2).overview is pieces.overview
    assert first.measured(300) is first.measured(300)
    assert len(first.measured(300).points) > len(first.measured(20).points)
    whole = pieces.evidence(1, whole=True)
    assert whole is not first and whole.window == Window(0, 240, 0, 320)
    assert whole.box == first.box and whole.pixels == first.pixels


def test_evidence_comes_in_the_order_that_is_asked_for() -> None:
    frame = simulated(3)
    ids = frame.instance_ids()
    assert [piece.instance_id for piece in cut(frame, ids[::-1])] == ids[::-1]
    assert cut(frame, []) == []


def test_an_instance_without_a_pixel_is_refused_by_name() -> None:
    frame = look({4: (box(0.1, 0.1, 0.1), placed(0, 0))}, camera_above())
    for wrong in (0, 5, -1, 65536):
        with pytest.raises(ValueError, match=rf"instance {wrong} has no pixel"):
            cut(frame, [4, wrong])
    told_by_box = replace(
        frame, labels=np.zeros_like(frame.labels), boxes={4: np.array([1, 1, 9, 9], np.float32)}
    )
    with pytest.raises(ValueError, match="instance 4 has no pixel"):
        cut(told_by_box, [4])


@pytest.fixture(scope="module")
def piece() -> Evidence:
    return cut(look({4: (box(0.1, 0.1, 0.1), placed(0, 0))}, camera_above()))[0]


@pytest.mark.parametrize("name", ["rgb", "labels"])
@pytest.mark.parametrize("spoil", ["fewer rows", "fewer columns", "another type"])
def test_arrays_that_are_not_of_the_window_are_refused_by_name(
    piece: Evidence, name: str, spoil: str
) -> None:
    array = getattr(piece, name)
    wrong = {
        "fewer rows": array[1:],
        "fewer columns": array[:, 1:],
        "another type": array.astype(np.int32),
    }[spoil]
    size = f"{array.shape[1]}x{array.shape[0]}"
    with pytest.raises(ValueError, match=rf"^{name} is .* but the window is {size}: give .* {array.dtype}"):
        replace(piece, **{name: wrong})  # type: ignore[arg-type]


def test_a_point_map_that_is_not_of_the_window_is_refused_by_name(piece: Evidence) -> None:
    height, width = piece.point_map.shape
    for rows, columns in ((slice(1, None), slice(None)), (slice(None), slice(1, None))):
        with pytest.raises(
            ValueError, match=rf"^depth is .* but the window is {width}x{height}: give .* float32"
        ):
            replace(piece, point_map=piece.point_map.cropped(rows, columns))


def test_windows_that_do_not_lie_in_each_other_are_refused(piece: Evidence) -> None:
    window, box_around = piece.window, piece.box
    empty = Window(box_around.top, box_around.top, box_around.left, box_around.left)
    for wrong in (
        {"box": window.moved(1, 0)},
        {"box": empty},
        {"window": box_around.moved(0, 1)},
        {"window": window.moved(-window.top - 1, 0)},
        {"window": window.moved(0, piece.camera.width - window.left)},
    ):
        with pytest.raises(ValueError, match="each must lie in the next"):
            replace(piece, **wrong)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(
    data=st.data(),
    lens=st.sampled_from(LENSES),
    width=st.integers(20, 120),
    height=st.integers(20, 90),
    angle=st.floats(30.0, 90.0),
)
def test_a_window_is_large_enough_to_be_freed_of_the_lens(
    data: st.DataObject, lens: tuple[str, tuple[float, ...]], width: int, height: int, angle: float
) -> None:
    """Every pixel around what the pinhole sees of a box, if the image has it, was cut out with the box."""
    straight = Camera.from_field_of_view(width, height, np.deg2rad(angle))
    camera = replace(straight, distortion_model=lens[0], distortion=lens[1])
    around = data.draw(windows_in((height, width)))
    window, flat = window_around(around, camera), straightened_window(around, camera)
    assert Window(0, height, 0, width).holds(window) and window.holds(around)
    # What the pinhole sees of the box lies in the straightened window.
    seen = camera.undistorted().project(camera.rays()[around.slices])
    seen = np.rint(seen[camera.contains(seen)]).astype(int)
    assert all(flat.holds(Window(v, v + 1, u, u + 1)) for u, v in seen)
    # And all of that comes from the window.
    source = camera.project(straight.rays()[flat.slices])
    source = np.rint(source[camera.contains(source)]).astype(int)
    if len(source):
        assert window.left <= source[:, 0].min() and source[:, 0].max() < window.right
        assert window.top <= source[:, 1].min() and source[:, 1].max() < window.bottom


def test_a_lens_that_bends_nothing_needs_no_more_room() -> None:
    around = Window(50, 90, 60, 130)
    for model, coefficients in (("none", ()), ("plumb_bob", (0.0,) * 5)):
        camera = replace(STRAIGHT, distortion_model=model, distortion=coefficients)
        assert window_around(around, camera) == around.grown(43, (240, 320))


def test_everything_that_evidence_holds_is_named_above() -> None:
    """A new field has to be thought of where evidence is kept."""
    assert {field.name for field in fields(Evidence)} - {"_measurements"} == {
        *("overview", "camera", "instance_id", "label", "pixels", "box", "window", "rgb", "labels"),
        *("point_map", "others"),
    }
