"""The command line as a user runs it: a real process, real files, and nothing left behind when it fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.mesh_files import read_mesh
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.perception.recorded.frame_folder import read_frame_folder

WIDTH, HEIGHT = 320, 240
CAMERA = Camera(WIDTH, HEIGHT, 300.0, 300.0, 159.5, 119.5)
#: The camera looks down at a table by this angle; the table frame has the camera's x, y down and z away from it.
CAMERA_FROM_TABLE = Similarity(trimesh.transformations.rotation_matrix(0.62, [1, 0, 0])[:3, :3])
TABLE_HEIGHT = 0.5
#: Place x z on the table and full lengths of the blocks, metres.
BLOCKS = {4: ((-0.12, 0.72), (0.12, 0.16, 0.1)), 9: ((0.12, 0.66), (0.1, 0.1, 0.14))}


def block_center(instance_id: int) -> np.ndarray:
    """(3,) centre of a block in the optical frame."""
    (x, z), size = BLOCKS[instance_id]
    return CAMERA_FROM_TABLE.apply((x, TABLE_HEIGHT - size[1] / 2, z))


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sam3d_ros.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def good_frame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two blocks on a table, by ray casting."""
    root = tmp_path_factory.mktemp("frames") / "blocks"
    root.mkdir()
    boxes = [(trimesh.creation.box(size), block_center(number)) for number, (_, size) in BLOCKS.items()]
    table = trimesh.creation.box((3.0, 0.02, 3.0))
    boxes.append((table, CAMERA_FROM_TABLE.apply((0.0, TABLE_HEIGHT + 0.01, 1.0))))
    things = [
        (
            Mesh(shape.vertices, shape.faces, np.zeros(shape.vertices.shape, np.uint8)),
            Similarity(CAMERA_FROM_TABLE.rotation, center),
        )
        for shape, center in boxes
    ]
    hits = RayScene(things).cast(CAMERA.rays())
    labels = np.array([*BLOCKS, 0, 0], np.uint16)[hits.mesh]
    depth = np.where(hits.hit, hits.distance, 0.0)
    shade = (60 + 180 * np.abs(hits.normal)).astype(np.uint8)
    cv2.imwrite(str(root / "rgb.png"), shade)
    cv2.imwrite(str(root / "labels.png"), labels)
    cv2.imwrite(str(root / "depth.png"), np.rint(1000 * depth).astype(np.uint16))
    camera = {"width": WIDTH, "height": HEIGHT, "fx": 300.0, "fy": 300.0, "cx": 159.5, "cy": 119.5}
    (root / "camera.json").write_text(json.dumps(camera))
    (root / "objects.json").write_text(json.dumps([{"id": 4, "class": "block"}]))
    return root


@pytest.fixture
def frame(good_frame: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(good_frame, tmp_path / "blocks"))


@pytest.fixture(scope="module")
def result(good_frame: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "deep" / "out"
    done = run("reconstruct", good_frame, "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"wrote {out}" in done.stdout
    assert "[1/2] object 4 block: " in done.stderr
    return out


def test_exactly_the_promised_files_appear(result: Path) -> None:
    names = sorted(path.name for path in result.iterdir())
    assert names == ["object_4.ply", "object_9.ply", "objects.json", "overlay.png", "scene.glb"]
    assert [path.name for path in result.parent.iterdir()] == ["out"]


def test_the_schema_is_kept(result: Path) -> None:
    content = json.loads((result / "objects.json").read_text())
    assert list(content) == ["frame", "objects"]
    assert content["frame"].endswith("/blocks")
    assert [thing["id"] for thing in content["objects"]] == [4, 9]
    assert [thing["label"] for thing in content["objects"]] == ["block", ""]
    for thing in content["objects"]:
        assert list(thing) == [
            "id", "label", "rotation", "translation", "scale", "mesh", "verdict", "seconds"
        ]  # fmt: skip
        assert list(thing["verdict"]) == [
            "state", "reasons", "mask_iou", "depth_residual", "inlier_ratio", "point_count", "scale_source",
            "seen_share", "size_sigma"
        ]  # fmt: skip
        rotation = np.array(thing["rotation"])
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) > 0
        assert len(thing["scale"]) == len(thing["translation"]) == 3
        assert thing["verdict"]["state"] in ("ACCEPTED", "UNCERTAIN", "REJECTED")
        assert thing["verdict"]["scale_source"] == "DEPTH"
        assert 0.1 < thing["verdict"]["seen_share"] < 0.9 and len(thing["verdict"]["size_sigma"]) == 3
        assert thing["seconds"] > 0


def test_the_formula_of_the_pose_puts_the_mesh_where_the_block_is(result: Path) -> None:
    """p_camera = R (s * p) + t, by hand, against the blocks that the frame was made from."""
    for thing in json.loads((result / "objects.json").read_text())["objects"]:
        mesh = trimesh.load(result / thing["mesh"], process=False)
        vertices = np.asarray(mesh.vertices)
        assert np.abs(vertices).max() <= 0.5
        assert np.abs(vertices).max() > 0.45
        rotation, scale = np.array(thing["rotation"]), np.array(thing["scale"])
        placed = (rotation @ (scale * vertices).T).T + np.array(thing["translation"])
        _, size = BLOCKS[thing["id"]]
        middle = (placed.min(axis=0) + placed.max(axis=0)) / 2
        assert np.linalg.norm(middle - block_center(thing["id"])) < 0.1 * np.linalg.norm(size)


def test_the_scene_is_what_the_camera_saw(result: Path) -> None:
    """In the glTF camera (x right, y up, z backward) each object is the PLY at its pose."""
    scene = trimesh.load(result / "scene.glb", process=False)
    for thing in json.loads((result / "objects.json").read_text())["objects"]:
        pose = Similarity(
            np.array(thing["rotation"]), np.array(thing["translation"]), np.array(thing["scale"])
        )
        placed = pose.apply(read_mesh(result / thing["mesh"]).vertices) * (1.0, -1.0, -1.0)
        name = next(node for node in scene.graph.nodes_geometry if node.startswith(f"object_{thing['id']}"))
        matrix, geometry = scene.graph[name]
        vertices = trimesh.transform_points(scene.geometry[geometry].vertices, matrix)
        np.testing.assert_allclose(vertices.min(axis=0), placed.min(axis=0), atol=1e-5)
        np.testing.assert_allclose(vertices.max(axis=0), placed.max(axis=0), atol=1e-5)


def test_the_overlay_draws_on_the_objects(result: Path, good_frame: Path) -> None:
    picture = cv2.imread(str(result / "overlay.png"))
    before = cv2.imread(str(good_frame / "rgb.png"))
    labels = cv2.imread(str(good_frame / "labels.png"), cv2.IMREAD_UNCHANGED)
    changed = np.any(picture != before, axis=-1)
    for instance_id in BLOCKS:
        assert changed[labels == instance_id].mean() > 0.8
    # A corner far from all objects is untouched.
    assert not changed[-40:, :40].any()


def test_an_earlier_result_is_replaced_as_a_whole(good_frame: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "object_77.ply").write_text("old")
    (out / "objects.json").write_text("old")
    done = run("reconstruct", good_frame, "--out", out)
    assert done.returncode == 0, done.stderr
    assert not (out / "object_77.ply").exists()
    assert json.loads((out / "objects.json").read_text())["objects"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def spoil_labels(frame: Path, value: int) -> None:
    cv2.imwrite(str(frame / "labels.png"), np.full((HEIGHT, WIDTH), value, np.uint16))


def edit_camera(frame: Path, **changes: Any) -> None:
    content = json.loads((frame / "camera.json").read_text())
    (frame / "camera.json").write_text(json.dumps({**content, **changes}))


def half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


BAD_FRAMES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no image": (lambda f: (f / "rgb.png").unlink(), "put the colour image there"),
    "no camera": (lambda f: (f / "camera.json").unlink(), "write the intrinsics there"),
    "no labels": (lambda f: (f / "labels.png").unlink(), "labels.png is missing"),
    "truncated image": (lambda f: half(f / "rgb.png"), "copy or export it again"),
    "truncated depth": (lambda f: half(f / "depth.png"), "depth.png is a truncated PNG"),
    "labels of another size": (
        lambda f: cv2.imwrite(str(f / "labels.png"), np.ones((24, 32), np.uint16)),
        "labels.png is 32x24 but the colour image is 320x240",
    ),
    "not calibrated": (lambda f: edit_camera(f, fx=None), "not calibrated"),
    "nothing labelled": (lambda f: spoil_labels(f, 0), "marks no instance"),
    "broken objects": (lambda f: (f / "objects.json").write_text("["), "repair the JSON"),
    "only people": (
        lambda f: (
            spoil_labels(f, 3),
            (f / "people.json").write_text('{"people": [{"id": 3}]}'),
            (f / "objects.json").unlink(),
        ),
        "marks only people",
    ),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bad_input_is_one_line_and_leaves_nothing(frame: Path, tmp_path: Path, name: str) -> None:
    spoil, message = BAD_FRAMES[name]
    spoil(frame)
    home = tmp_path / "results"
    home.mkdir()
    done = run("reconstruct", frame, "--out", home / "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required: VERB"),
        (("reconstruct",), "required: FRAME_DIR, --out"),
        (("reconstruct", "nowhere", "--out", "out"), "nowhere does not exist"),
        (
            ("reconstruct", "x", "--out", "out", "--reconstructor", "magic"),
            "choose from auto, geometric, sam3d",
        ),
        (("make-coffee",), "invalid choice"),
        (("reconstruct", "x", "--out", "out", "--fast"), "--fast"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message.replace("'", "") in done.stderr.replace("'", "")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_the_user_is_never_replaced(good_frame: Path, tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "holiday.jpg").write_text("precious")
    done = run("reconstruct", good_frame, "--out", out)
    assert done.returncode == 2
    assert "holiday.jpg" in done.stderr
    assert (out / "holiday.jpg").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_the_frame_itself_is_never_replaced(frame: Path) -> None:
    before = sorted(path.name for path in frame.iterdir())
    assert run("reconstruct", frame, "--out", frame).returncode == 2
    assert sorted(path.name for path in frame.iterdir()) == before


def test_a_file_in_the_way_is_refused(good_frame: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("a file")
    done = run("reconstruct", good_frame, "--out", out)
    assert done.returncode == 2
    assert "is not a folder" in done.stderr
    done = run("reconstruct", good_frame, "--out", out / "below")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(good_frame: Path, tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "results"
    home.mkdir()
    command = [sys.executable, "-m", "sam3d_ros.cli.main", "reconstruct", good_frame, "--out", home / "out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(home.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(home.iterdir()), "the work never began"
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].endswith("interrupted, nothing was written")
    assert "Traceback" not in errors
    assert list(home.iterdir()) == []


def test_version_and_help() -> None:
    from sam3d_ros import __version__

    assert run("--version").stdout.strip() == f"sam3d-ros {__version__}"
    text = run("reconstruct", "--help").stdout
    for word in ("FRAME_DIR", "--out", "--reconstructor", "objects.json", "scene.glb", "overlay.png"):
        assert word in text


@pytest.mark.parametrize(
    "name", ["ycbv_a/000001", "kitti_a/000002", "mosd_a/learn35", "sam3d_a/human_object"]
)
def test_every_mask_of_a_real_frame_is_answered(data_dir: Path, tmp_path: Path, name: str) -> None:
    done = run("reconstruct", data_dir / name, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    content = json.loads((tmp_path / "out" / "objects.json").read_text())
    folder = read_frame_folder(data_dir / name)
    people = {int(person["id"]) for person in folder.people}
    assert [thing["id"] for thing in content["objects"]] == [
        i for i in folder.frame().instance_ids() if i not in people
    ]
    for thing in content["objects"]:
        mesh = read_mesh(tmp_path / "out" / thing["mesh"])
        assert np.abs(mesh.vertices).max() <= 0.5
