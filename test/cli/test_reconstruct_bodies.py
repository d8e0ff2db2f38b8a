"""`reconstruct --bodies`: people of a recorded frame as files that agree with each other."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import refused, run, run_process
from person_and_box import BOX, PERSON, parts_of, true_depth, write_frame

from sam3d_ros.geometry.mesh_files import read_mesh

pytest.importorskip("torch", reason="requirements/models.txt is not installed")


@pytest.fixture(scope="module")
def depth(tiny_body_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return true_depth(tiny_body_checkpoint, tmp_path_factory.mktemp("depth") / "frame")


def options(checkpoint: Path) -> tuple[object, ...]:
    people = ("--bodies", "--people", PERSON, "--body-mode", "body", "--body-checkpoint", checkpoint)
    return (*people, "--reconstructor", "geometric", "--device", "cpu")


def optical_parts_of(path: Path) -> dict[str, np.ndarray]:
    """Name of each mesh of a scene -> (V, 3) vertices in the optical frame."""
    return {name: vertices * (1, -1, -1) for name, vertices in parts_of(path).items()}


def test_people_and_objects_are_files_that_agree(
    tiny_body_checkpoint: Path, depth: np.ndarray, tmp_path: Path
) -> None:
    frame, out = write_frame(tmp_path / "frame", 1.1 * depth), tmp_path / "out"
    done = run_process("reconstruct", frame, "--out", out, *options(tiny_body_checkpoint))
    assert done.returncode == 0, done.stderr
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("objects.json", "bodies.json", "scene.glb", "overlay.png"),
        *(f"object_{BOX}.ply", f"body_{PERSON}.ply"),
    }
    (body,) = json.loads((out / "bodies.json").read_text())["bodies"]
    (thing,) = json.loads((out / "objects.json").read_text())["objects"]
    assert (body["id"], thing["id"]) == (PERSON, BOX)
    assert len(body["keypoints"]) == 70 and len(body["joints"]) == 127 and len(body["rig"]["model"]) == 204
    # The box at 3.3 m and the person, nearer by the same tenth, are metric alike.
    assert body["verdict"]["scale_source"] == "DEPTH"
    assert body["alignment"]["scale"] == pytest.approx(1, abs=0.02)
    assert np.linalg.norm(body["alignment"]["shift"]) < 0.08 and body["alignment"]["residual"] < 0.02
    mesh = read_mesh(out / body["mesh"])
    seen = mesh.vertices @ np.array(body["rotation"]).T + body["translation"]
    parts = optical_parts_of(out / "scene.glb")
    np.testing.assert_allclose(parts[f"body_{PERSON}"], seen, atol=1e-4)
    hips = [body["keypoints"][f"{side}_hip"] for side in ("left", "right")]
    np.testing.assert_allclose(np.mean(hips, axis=0), body["translation"], atol=1e-5)
    assert body["joints"]["l_upleg"]["position"] == body["keypoints"]["left_hip"]
    (box,) = (vertices for name, vertices in parts.items() if name.startswith(f"object_{BOX}"))
    assert box[:, 2].min() == pytest.approx(3.3, abs=0.1)
    plain = cv2.imread(str(frame / "rgb.png"))
    assert (cv2.imread(str(out / "overlay.png")) != plain).any()
    assert f"{PERSON} " in done.stdout and "misalignment" in done.stdout


def test_a_person_gives_the_scale_to_objects_in_relative_depth(
    tiny_body_checkpoint: Path, depth: np.ndarray, tmp_path: Path
) -> None:
    boxes = {}
    for name, scale, more in (("metric", 1.0, ()), ("relative", 0.6, ("--relative-depth",))):
        frame, out = write_frame(tmp_path / name, scale * depth), tmp_path / f"{name}_out"
        done = run("reconstruct", frame, "--out", out, *options(tiny_body_checkpoint), *more)
        assert done.returncode == 0, done.stderr
        parts = optical_parts_of(out / "scene.glb")
        (key,) = (name for name in parts if name.startswith("object"))
        boxes[name] = (parts[key].min(axis=0), parts[key].max(axis=0), parts[f"body_{PERSON}"])
    (body,) = json.loads((tmp_path / "relative_out" / "bodies.json").read_text())["bodies"]
    assert body["alignment"]["scale"] == pytest.approx(0.6, rel=0.03)
    (thing,) = json.loads((tmp_path / "relative_out" / "objects.json").read_text())["objects"]
    assert body["verdict"]["scale_source"] == thing["verdict"]["scale_source"] == "PRIOR"
    metric, relative = boxes["metric"], boxes["relative"]
    # The box of the relative frame lies 1.2 m too near; with the person's scale it lies where it is.
    np.testing.assert_allclose(relative[0][:2], metric[0][:2], atol=0.08)
    np.testing.assert_allclose(relative[0][2], metric[0][2], atol=0.12)
    np.testing.assert_allclose(np.ptp(relative[:2], axis=0), np.ptp(metric[:2], axis=0), rtol=0.08)
    np.testing.assert_allclose(relative[2], metric[2], atol=0.05)


def test_what_cannot_be_done_is_one_line(tiny_body_checkpoint: Path, tmp_path: Path) -> None:
    frame = write_frame(tmp_path / "frame", np.zeros((240, 320)))
    out = ("--out", tmp_path / "results" / "out")
    base = ("reconstruct", frame, *out, "--reconstructor", "geometric", "--device", "cpu")
    weights = ("--body-checkpoint", tiny_body_checkpoint, "--body-mode", "body")
    refused(run(*base, "--bodies", *weights), "name their instances with --people")
    refused(run(*base, "--bodies", *weights, "--people", 5, 6), "--people names 6")
    refused(run(*base, "--bodies", "--people", 5, "--body-checkpoint", tmp_path), "no SAM 3D Body weights in")
    refused(run(*base, "--relative-depth", "--people", 5), "add --bodies")
    refused(run(*base, "--people", 5, 12), "only people")
    unknown = run(*base, "--bodies", *weights, "--people", 5, "--relative-depth")
    assert unknown.returncode == 2 and "--relative-depth needs a person" in unknown.stderr.splitlines()[-1]
    assert not (tmp_path / "results" / "out").exists()


def test_people_alone_need_no_objects(tiny_body_checkpoint: Path, depth: np.ndarray, tmp_path: Path) -> None:
    frame, out = write_frame(tmp_path / "frame", depth), tmp_path / "out"
    labels = cv2.imread(str(frame / "labels.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(frame / "labels.png"), np.where(labels == BOX, 0, labels))
    (frame / "people.json").write_text(json.dumps({"people": [{"id": PERSON}]}))
    done = run("reconstruct", frame, "--out", out, *options(tiny_body_checkpoint)[3:], "--bodies")
    assert done.returncode == 0, done.stderr
    assert list(optical_parts_of(out / "scene.glb")) == [f"body_{PERSON}"]
    assert json.loads((out / "objects.json").read_text())["objects"] == []
