"""Frame folders: what is read, and that everything wrong is refused in one line with file and remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.perception.recorded.frame_folder import FrameFolderError, read_frame_folder

WIDTH, HEIGHT = 32, 24
CAMERA = {
    "width": WIDTH,
    "height": HEIGHT,
    "fx": 30.0,
    "fy": 30.0,
    "cx": 15.5,
    "cy": 11.5,
    "distortion_model": "plumb_bob",
    "distortion": [0.1, 0.0, 0.0, 0.0, 0.0],
}


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small valid frame: noise for an image, a wall one metre away, two instances."""
    root = tmp_path / "frame"
    root.mkdir()
    rng = np.random.default_rng(0)
    cv2.imwrite(str(root / "rgb.png"), rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels[4:10, 4:10], labels[12:20, 12:28] = 3, 700
    cv2.imwrite(str(root / "labels.png"), labels)
    depth = np.full((HEIGHT, WIDTH), 1000, np.uint16)
    depth[0] = 0
    cv2.imwrite(str(root / "depth.png"), depth)
    write_json(root / "camera.json", CAMERA)
    write_json(root / "objects.json", [{"id": 3, "class": "cup", "camera_from_object": None, "mesh": None}])
    write_json(root / "people.json", {"people": [{"id": 700, "box_xyxy": [12, 12, 28, 20]}]})
    return root


def edit_camera(folder: Path, **changes: Any) -> None:
    write_json(folder / "camera.json", {**CAMERA, **changes})


def truncate(path: Path, share: float = 0.6) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


def resize(path: Path) -> None:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), image[:-2])


@pytest.mark.parametrize("distortion", [None, [], [0.0] * 4])
def test_a_fisheye_without_coefficients_is_a_fisheye(folder: Path, distortion: list[float] | None) -> None:
    edit_camera(folder, distortion_model="equidistant", distortion=distortion)
    camera = read_frame_folder(folder).frame().camera
    assert (camera.distortion_model, camera.distortion) == ("equidistant", (0.0,) * 4)
    # The angle from the axis grows with the distance from the middle, and not its tangent.
    x, _, z = camera.rays_at(np.array([15.5 + 30.0 * 0.4, 11.5]))
    assert np.arctan2(x, z) == pytest.approx(0.4, abs=1e-6)


@pytest.mark.parametrize("model", ["plumb_bob", "rational_polynomial", "none", "", None])
def test_any_other_lens_without_coefficients_is_a_pinhole(folder: Path, model: str | None) -> None:
    edit_camera(folder, distortion_model=model, distortion=[0.0] * 8)
    camera = read_frame_folder(folder).frame().camera
    assert (camera.distortion_model, camera.distortion) == ("none", ())


def test_a_valid_folder_gives_points_on_the_wall(folder: Path) -> None:
    read = read_frame_folder(folder)
    frame = read.frame(stamp=5)
    assert frame.stamp == 5
    assert frame.points_source is PointsSource.DEPTH
    assert frame.instance_ids() == [3, 700]
    assert (frame.label(3), frame.label(700)) == ("cup", "person")
    assert np.isnan(frame.points[0]).all()
    np.testing.assert_allclose(frame.points[1:, :, 2], 1.0)
    # Seen through the distorting lens again, each point falls on its own pixel.
    grid = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(1, HEIGHT)), axis=-1)
    np.testing.assert_allclose(frame.camera.project(frame.points[1:]), grid, atol=1e-3)


def test_lidar_is_used_where_there_is_no_depth(folder: Path) -> None:
    (folder / "depth.png").unlink()
    # The sensor looks along its x axis (REP-103) from the place of the camera.
    edit_camera(folder, camera_from_lidar=[[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    np.savez(folder / "lidar.npz", points=np.array([[2.0, 0.0, 0.0, 0.5], [-2.0, 0.0, 0.0, 0.5]], np.float32))
    frame = read_frame_folder(folder).frame()
    assert frame.points_source is PointsSource.LIDAR
    seen = frame.points[~np.isnan(frame.points[..., 2])]
    np.testing.assert_allclose(seen, [[0.0, 0.0, 2.0]], atol=1e-6)


def test_without_a_sensor_the_point_map_is_empty(folder: Path) -> None:
    for name in ("depth.png", "objects.json"):
        (folder / name).unlink()
    read = read_frame_folder(folder)
    frame = read.frame()
    assert frame.points_source is PointsSource.NONE
    assert np.isnan(frame.points).all()
    assert read.objects == ()
    assert dict(frame.label_names) == {700: "person"}


def test_labels_may_be_optional(folder: Path) -> None:
    (folder / "labels.png").unlink()
    assert read_frame_folder(folder, labels_required=False).frame().instance_ids() == []


def test_a_depth_unit_is_honoured(folder: Path) -> None:
    edit_camera(folder, depth_unit_m=0.0001)
    depth = read_frame_folder(folder).depth
    assert depth is not None
    np.testing.assert_allclose(depth[1:], 0.1, rtol=1e-6)


def test_no_measurement_is_no_depth(folder: Path) -> None:
    depth = np.full((HEIGHT, WIDTH), 2000, np.uint16)
    depth[3], depth[5] = 65535, 0
    cv2.imwrite(str(folder / "depth.png"), depth)
    known = np.isfinite(read_frame_folder(folder).frame().points[..., 2])
    assert not known[[3, 5]].any() and known[[0, 1, 2, 4]].all()


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no rgb": (lambda f: (f / "rgb.png").unlink(), "rgb.png or rgb.jpg"),
    "no camera": (lambda f: (f / "camera.json").unlink(), "camera.json is missing"),
    "no labels": (lambda f: (f / "labels.png").unlink(), "labels.png is missing"),
    "truncated rgb": (lambda f: truncate(f / "rgb.png"), "rgb.png is a truncated PNG"),
    "truncated labels": (lambda f: truncate(f / "labels.png"), "labels.png is a truncated PNG"),
    "truncated depth": (lambda f: truncate(f / "depth.png"), "depth.png is a truncated PNG"),
    "empty rgb": (lambda f: (f / "rgb.png").write_bytes(b""), "rgb.png is empty"),
    "text for rgb": (lambda f: (f / "rgb.png").write_text("hello, camera"), "neither PNG nor JPEG"),
    "labels of another size": (lambda f: resize(f / "labels.png"), "labels.png is 32x22 but"),
    "depth of another size": (lambda f: resize(f / "depth.png"), "depth.png is 32x22 but"),
    "colour labels": (
        lambda f: cv2.imwrite(str(f / "labels.png"), np.full((HEIGHT, WIDTH, 3), (1, 2, 2), np.uint8)),
        "labels.png: colours do not tell ids",
    ),
    "8 bit depth": (
        lambda f: cv2.imwrite(str(f / "depth.png"), np.zeros((HEIGHT, WIDTH), np.uint8)),
        "depth.png has 1 channels of uint8",
    ),
    "depth in another unit": (lambda f: edit_camera(f, depth_unit_m=1.0), "depth.png: depth in units of 1 m"),
    "depth in metres": (
        lambda f: cv2.imwrite(str(f / "depth.png"), np.full((HEIGHT, WIDTH), 2, np.uint16)),
        "depth.png: depth in units of 0.001 m: 100% of it is nearer than 0.01 m",
    ),
    "lidar in millimetres": (
        lambda f: (
            edit_camera(f, camera_from_lidar=np.eye(4).tolist()),
            np.savez(f / "lidar.npz", points=np.full((200, 4), 3000.0, np.float32)),
        ),
        "lidar.npz: half of the points are farther away than 5196.2 m",
    ),
    "unknown focal length": (lambda f: edit_camera(f, fx=None, fy=None), "fx, fy = null"),
    "zero focal length": (lambda f: edit_camera(f, fx=0.0), "camera.json is not a camera: focal lengths"),
    "text focal length": (lambda f: edit_camera(f, fx="wide"), "camera.json is not a camera"),
    "intrinsics in shares of the width": (
        lambda f: edit_camera(f, fx=0.9, fy=0.9, cx=0.5, cy=0.5),
        "camera.json is of no camera: a camera, 32x24 pixels, has focal lengths of 0.9",
    ),
    "intrinsics in millimetres": (lambda f: edit_camera(f, fx=3.6e-3, fy=3.6e-3), "focal lengths of 0.0036"),
    "no principal point": (lambda f: edit_camera(f, cx=0, cy=0), "principal point at 0, 0"),
    "intrinsics of another resolution": (
        lambda f: edit_camera(f, fx=640.0, fy=640.0, cx=320.0, cy=240.0),
        "was it calibrated at another size?",
    ),
    "one focal length of another camera": (lambda f: edit_camera(f, fx=400.0), "shape of a pixel"),
    "a lens that bends everything away": (
        lambda f: edit_camera(f, distortion_model="plumb_bob", distortion=[-3000.0, 0, 0, 0, 0]),
        "of the pixels a plausible ray",
    ),
    "camera of another size": (lambda f: edit_camera(f, width=64), "camera.json is for 64x24"),
    "unknown distortion": (lambda f: edit_camera(f, distortion_model="fisheye9"), "fisheye9"),
    "negative depth unit": (lambda f: edit_camera(f, depth_unit_m=-1), "depth_unit_m"),
    "lacking intrinsics": (lambda f: write_json(f / "camera.json", {"width": 3}), "lacks height, fx"),
    "camera is a list": (lambda f: write_json(f / "camera.json", [1]), "holds a list"),
    "broken JSON": (lambda f: (f / "camera.json").write_text('{"width": '), "repair the JSON"),
    "binary JSON": (lambda f: (f / "camera.json").write_bytes(b"\xff\xfe\x00"), "repair the JSON"),
    "objects is a dict": (lambda f: write_json(f / "objects.json", {"id": 1}), "holds a dict"),
    "object without id": (lambda f: write_json(f / "objects.json", [{"class": "cup"}]), "id None"),
    "object id zero": (lambda f: write_json(f / "objects.json", [{"id": 0}]), "id 0"),
    "mirrored pose": (
        lambda f: write_json(
            f / "objects.json", [{"id": 3, "camera_from_object": np.diag([1.0, 1.0, -1.0, 1.0]).tolist()}]
        ),
        "object 3 is not valid",
    ),
    "people without list": (lambda f: write_json(f / "people.json", {"persons": []}), "no list `people`"),
    "lidar without its pose": (
        lambda f: np.savez(f / "lidar.npz", points=np.zeros((4, 4), np.float32)),
        "no camera_from_lidar",
    ),
    "truncated lidar": (
        lambda f: (
            np.savez(f / "lidar.npz", points=np.zeros((99, 4), np.float32)),
            truncate(f / "lidar.npz"),
        ),
        "lidar.npz cannot be read",
    ),
    "pickled lidar": (
        lambda f: np.savez(f / "lidar.npz", points=np.array([{}], dtype=object)),
        "lidar.npz cannot be read",
    ),
    "lidar without points": (lambda f: np.savez(f / "lidar.npz", xyz=np.zeros((4, 4))), "not `points`"),
    "flat lidar": (lambda f: np.savez(f / "lidar.npz", points=np.zeros(4, np.float32)), "shape (4,)"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_that_names_it(folder: Path, name: str) -> None:
    break_it, message = FAULTS[name]
    break_it(folder)
    with pytest.raises(FrameFolderError) as caught:
        read_frame_folder(folder)
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert ": " in text
    assert str(folder) in text


def test_a_missing_folder_and_a_file_are_told_apart(folder: Path) -> None:
    with pytest.raises(FrameFolderError, match="does not exist"):
        read_frame_folder(folder / "nowhere")
    with pytest.raises(FrameFolderError, match="is a file"):
        read_frame_folder(folder / "rgb.png")


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0.0, 0.999), name=st.sampled_from(["rgb.png", "labels.png", "depth.png"]))
def test_no_truncation_goes_unseen(tmp_path_factory: pytest.TempPathFactory, cut: float, name: str) -> None:
    root = tmp_path_factory.mktemp("cut")
    image = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    for file in ("labels.png", "depth.png"):
        cv2.imwrite(str(root / file), image)
    cv2.imwrite(str(root / "rgb.png"), np.dstack([image.astype(np.uint8)] * 3))
    write_json(root / "camera.json", CAMERA)
    read_frame_folder(root)
    truncate(root / name, cut)
    with pytest.raises(FrameFolderError, match=name):
        read_frame_folder(root)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(8, 10_000), flip=st.integers(1, 255))
def test_no_damaged_byte_goes_unseen(
    tmp_path_factory: pytest.TempPathFactory, position: int, flip: int
) -> None:
    root = tmp_path_factory.mktemp("flip")
    for file in ("rgb.png", "labels.png"):
        cv2.imwrite(str(root / file), np.full((HEIGHT, WIDTH), 7, np.uint16))
    write_json(root / "camera.json", CAMERA)
    data = bytearray((root / "labels.png").read_bytes())
    data[position % (len(data) - 8) + 8] ^= flip
    (root / "labels.png").write_bytes(data)
    with pytest.raises(FrameFolderError, match=r"labels\.png"):
        read_frame_folder(root)


def test_a_real_frame_agrees_with_its_truth(data_dir: Path) -> None:
    """The true mesh at the true pose, seen by the camera, lies on the measured points of its mask."""
    trimesh = pytest.importorskip("trimesh")
    from sam3d_ros.geometry.meshes import Mesh

    read = read_frame_folder(data_dir / "ycbv_a" / "000001")
    frame = read.frame()
    assert [thing.instance_id for thing in read.objects] == frame.instance_ids()
    for thing in read.objects:
        assert thing.mesh_path is not None
        assert thing.camera_from_object is not None
        loaded = trimesh.load(thing.mesh_path, force="mesh", process=False)
        mesh = Mesh(loaded.vertices, loaded.faces, np.zeros(loaded.vertices.shape, np.uint8))
        mask = frame.mask(thing.instance_id)
        depth = RayScene([(mesh, thing.camera_from_object)]).cast(frame.camera.rays()[mask]).distance
        assert np.nanmedian(np.abs(depth - frame.points[mask][:, 2])) < 0.002


@pytest.mark.parametrize("name", ["mpi3dhp_a/TS1_002001", "sam3d_a/human_object"])
def test_frames_of_people_load(data_dir: Path, name: str) -> None:
    read = read_frame_folder(data_dir / name)
    assert "person" in read.frame().label_names.values()
    assert read.name == name


@pytest.mark.parametrize("name", ["coco_a/000000000785", "sam3d_a/plaza"])
def test_photos_without_intrinsics_are_refused(data_dir: Path, name: str) -> None:
    with pytest.raises(FrameFolderError, match="not calibrated"):
        read_frame_folder(data_dir / name)


def test_a_distorted_camera_with_lidar_loads(data_dir: Path) -> None:
    frame = read_frame_folder(data_dir / "pjlab" / "calib", labels_required=False).frame()
    assert frame.points_source is PointsSource.LIDAR
    assert 5_000 < np.count_nonzero(~np.isnan(frame.points[..., 2])) < 85_546
