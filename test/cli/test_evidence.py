"""`sam3d-ros evidence` and `reconstruct --evidence`: what a file says is shown, whatever stands beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import refused, run, run_process

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.mesh_files import read_mesh
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence, cut
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.judging.verdict import FIGURE_REASONS, VerdictThresholds, judge
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.perception.recorded.evidence_files import read_evidence, write_evidence
from sam3d_ros.perception.scenes.overlay import VERDICT_COLORS
from sam3d_ros.simulation.export import write_frame_folder
from sam3d_ros.simulation.frames import frame_from_depth
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.sensors import DepthSensor
from sam3d_ros.simulation.trajectories import random_viewpoint

CAMERA = Camera.from_field_of_view(240, 180, np.deg2rad(60.0))


@dataclass(frozen=True, eq=False)
class Judged:
    """An object of a simulated table, and the folder of the frame that shows it."""

    frame: Frame
    folder: Path
    evidence: Evidence
    estimate: ObjectEstimate


@pytest.fixture(scope="module")
def thing(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    random = np.random.default_rng(1)
    scene = random_scene(1, 2)
    rendering = render(scene, CAMERA, random_viewpoint(random))
    depth = DepthSensor().measure(rendering, random)
    folder = tmp_path_factory.mktemp("frames") / "table"
    write_frame_folder(folder, scene, rendering, depth=depth)
    frame = replace(frame_from_depth(scene, rendering, depth), stamp=1_712_345_678_000_000_042)
    (evidence,) = cut(frame, frame.instance_ids()[:1])
    (estimate,) = ObjectPipeline(GeometricReconstructor()).reconstruct([evidence])
    return Judged(frame, folder, evidence, estimate)


@pytest.fixture
def file(thing: Judged, tmp_path: Path) -> Path:
    path = tmp_path / "good.evidence.npz"
    write_evidence(path, thing.evidence, thing.estimate)
    return path


def shown(*files: Path) -> list[dict[str, Any]]:
    done = run("evidence", *files, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def plain(text: str) -> str:
    """A table without its columns."""
    return " ".join(text.split())


def test_a_user_sees_what_is_inside_and_what_is_wrong_beside(
    thing: Judged, file: Path, tmp_path: Path
) -> None:
    """Good files among bad ones, as a process: the good are shown, each bad one is a line."""
    cut_off, alone = tmp_path / "half.evidence.npz", tmp_path / "alone.evidence.npz"
    cut_off.write_bytes(file.read_bytes()[:5000])
    write_evidence(alone, thing.evidence, full_view=False)
    done = run_process("evidence", cut_off, file, tmp_path / "nowhere.npz", alone)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    for line, path, message in zip(
        lines, (cut_off, tmp_path / "nowhere.npz"), ("cut off", "does not exist"), strict=True
    ):
        assert line.startswith(f"sam3d-ros evidence: {path}") and message in line
    piece, estimate = thing.evidence, thing.estimate
    first, second = done.stdout.split(f"{alone}: ")
    assert first.startswith(f"{file}: instance {piece.instance_id} {piece.label}\n")
    for text in (
        "1712345678.000000042 s, 2024-04-05 19:34:38 UTC",
        f"{piece.overview.frame_id}, 240x180, f {CAMERA.fx:.2f}",
        "no distortion",
        f"{piece.pixels}, ",
        "DEPTH, ",
        "clear of the border",
        "full images inside",
        f"verdict {estimate.verdict.state.name}, scale from DEPTH",
        f"mask_iou {estimate.verdict.mask_iou:.2f} >= 0.75 < 0.40",
        "judged now the same",
    ):
        assert text in plain(first), (text, first)
    assert "full images  left out" in second and "verdict" not in second


def test_a_program_reads_the_same(thing: Judged, file: Path) -> None:
    (record,) = shown(file)
    piece, estimate = thing.evidence, thing.estimate
    mask = thing.frame.labels == piece.instance_id
    depth = thing.frame.points[mask][:, 2]
    assert record["file"] == str(file)
    assert (record["instance_id"], record["label"], record["pixels"]) == (
        piece.instance_id,
        piece.label,
        np.count_nonzero(mask),
    )
    assert (record["stamp"], record["frame_id"]) == (thing.frame.stamp, thing.frame.frame_id)
    assert record["camera"]["fx"] == CAMERA.fx and record["camera"]["distortion"] == []
    assert record["measured"] == pytest.approx(np.isfinite(depth).mean())
    assert record["distance"] == pytest.approx(np.nanmedian(depth), abs=0.02)
    assert record["noise"] == pytest.approx(thing.frame.noise.at(record["distance"]), rel=1e-2)
    assert 0.0 <= record["outline_hidden"] <= 1.0
    assert record["touches_border"] is False and record["full_view"] is True
    told = record["estimate"]
    assert told["verdict"]["state"] == estimate.verdict.state.name
    assert told["verdict"] == told["judged_now"] and told["differences"] == []
    np.testing.assert_array_equal(told["rotation"], estimate.camera_from_object.rotation)
    assert [figure["value"] for figure in told["figures"]] == [
        estimate.verdict.mask_iou,
        estimate.verdict.depth_residual,
        estimate.verdict.inlier_ratio,
        estimate.verdict.point_count,
        estimate.verdict.seen_share,
        max(np.array(estimate.verdict.size_sigma) / estimate.size),
    ]
    assert 0.2 < estimate.verdict.seen_share < 0.7


def test_the_bounds_are_where_the_judgement_turns(thing: Judged, file: Path) -> None:
    """An object that is pushed away is judged worse just where its residual passes the bounds that are shown."""
    (record,) = shown(file)
    figures = {figure["name"]: figure for figure in record["estimate"]["figures"]}
    bounds = VerdictThresholds()
    assert figures["mask_iou"]["accept"] == bounds.accept_mask_iou
    assert figures["mask_iou"]["reject"] == bounds.reject_mask_iou
    assert figures["inlier_ratio"]["accept"] == bounds.accept_inlier_ratio
    assert (figures["point_count"]["accept"], figures["point_count"]["reject"]) == (bounds.min_points, None)
    by_residual = replace(bounds, reject_mask_iou=0.0, reject_inlier_ratio=0.0)
    pose = thing.estimate.camera_from_object

    def pushed(share: float) -> Verdict:
        moved = replace(pose, translation=pose.translation * (1.0 + share))
        return judge(thing.evidence, replace(thing.estimate, camera_from_object=moved), by_residual)

    turns: dict[str, Callable[[Verdict], bool]] = {
        "accept": lambda verdict: "high_depth_residual" in verdict.reasons,
        "reject": lambda verdict: verdict.state is VerdictState.REJECTED,
    }
    for name, is_worse in turns.items():
        near, far = 0.0, 0.1
        assert not is_worse(pushed(near)) and is_worse(pushed(far))
        for _ in range(16):
            middle = (near + far) / 2
            near, far = (near, middle) if is_worse(pushed(middle)) else (middle, far)
        bound = figures["depth_residual"][name]
        assert pushed(near).depth_residual <= bound <= pushed(far).depth_residual
        assert bound == pytest.approx(pushed(near).depth_residual, rel=1e-2)


def test_an_older_judgement_that_differs_is_told(thing: Judged, tmp_path: Path) -> None:
    path = tmp_path / "old.evidence.npz"
    verdict = thing.estimate.verdict
    old = replace(
        verdict,
        state=VerdictState.REJECTED,
        reasons=("high_depth_residual",),
        depth_residual=verdict.depth_residual + 0.02,
        mask_iou=verdict.mask_iou + 1e-9,
    )
    write_evidence(path, thing.evidence, replace(thing.estimate, verdict=old))
    (record,) = shown(path)
    assert record["estimate"]["differences"] == ["state", "reasons", "depth_residual"]
    text = run("evidence", path).stdout
    assert f"judged now   {verdict.state.name}, which differs in state (REJECTED, now" in text
    assert "high_depth_residual: depth_residual is too high" in text


def test_every_reason_has_a_meaning(thing: Judged, tmp_path: Path) -> None:
    path = tmp_path / "all.evidence.npz"
    verdict = replace(
        thing.estimate.verdict,
        reasons=(*FIGURE_REASONS, "hidden_side_unknown", "ambiguous_pose", "odd\x1b[2J"),
        mask_iou=math.nan,
        depth_residual=math.nan,
    )
    write_evidence(path, thing.evidence, replace(thing.estimate, verdict=verdict))
    (record,) = shown(path)
    meanings = record["estimate"]["meanings"]
    earlier = {reason for reason, meaning in meanings.items() if meaning == "found before it was judged"}
    assert earlier == {"ambiguous_pose", "odd\x1b[2J"}
    text = plain(run("evidence", path).stdout)
    assert "0.50 of the silhouette may be hidden" in text and "depth_residual - <= " in text
    assert "odd\\x1b[2J: " in text and "\x1b" not in text


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (lambda frame: replace(frame, is_metric=False), ("units of noise at", " units <= ")),
        (lambda frame: frame.without_points(), ("sensor NONE outline", "not_measured: nothing is measured")),
        (
            lambda frame: replace(frame, label_names={1: "a\nb\u202ec"}, stamp=-1),
            ("instance 1 a\\nb\\u202ec when", "1969-12-31 23:59:59 UTC"),
        ),
    ],
    ids=["no metre", "no sensor", "odd texts"],
)
def test_what_is_odd_is_shown(
    thing: Judged, tmp_path: Path, change: Callable[[Frame], Frame], texts: Sequence[str]
) -> None:
    path = tmp_path / "odd.evidence.npz"
    (evidence,) = cut(change(thing.frame), [thing.evidence.instance_id])
    verdict = judge(evidence, thing.estimate)
    write_evidence(path, evidence, replace(thing.estimate, verdict=verdict))
    done = run("evidence", path)
    assert (done.returncode, done.stderr) == (0, "")
    for text in (*texts, "judged now the same"):
        assert text in plain(done.stdout), done.stdout
    assert shown(path)[0]["estimate"]["differences"] == []


def test_the_picture_shows_mask_mesh_and_depth(thing: Judged, file: Path, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    done = run("evidence", file, "--picture", path)
    assert (done.returncode, done.stderr) == (0, "")
    picture = cv2.imread(str(path))[..., ::-1]
    piece = thing.evidence
    height, width = piece.mask.shape
    zoom = picture.shape[0] // height
    assert picture.shape == (zoom * height, 2 * zoom * width, 3) and zoom * max(height, width) >= 480
    seen, depth = np.split(picture, 2, axis=1)
    mask = piece.mask.repeat(zoom, axis=0).repeat(zoom, axis=1).astype(np.uint8)
    reach = np.ones((2 * zoom + 9,) * 2, np.uint8)
    near_outline = (cv2.dilate(mask, reach) > 0) & (cv2.erode(mask, reach) == 0)
    # White follows the mask in both halves; the colour of the verdict runs close to it, for the mesh fits.
    for half in (seen, depth):
        white = (half == 255).all(axis=-1)
        assert white[near_outline].sum() > zoom * max(piece.box.bottom - piece.box.top, 10)
    green = (seen == VERDICT_COLORS[thing.estimate.verdict.state]).all(axis=-1)
    assert green.sum() > 100 and green[near_outline].mean() > 0 and not green[0].any()
    # Far from every outline the left half is the image.
    calm = ~(cv2.dilate(near_outline.astype(np.uint8), np.ones((zoom * 16 + 1,) * 2, np.uint8)) > 0)
    image = piece.rgb.repeat(zoom, axis=0).repeat(zoom, axis=1)
    assert calm.any()
    np.testing.assert_array_equal(seen[calm], image[calm])
    # Near is red, far is blue, unknown is grey.
    order = np.argsort(piece.depth, axis=None)
    known = order[: np.count_nonzero(np.isfinite(piece.depth))]
    small = depth[zoom // 2 :: zoom, zoom // 2 :: zoom].reshape(-1, 3).astype(int)
    assert small[known[:50], 0].mean() > small[known[:50], 2].mean() + 50
    assert small[known[-50:], 2].mean() > small[known[-50:], 0].mean()
    unknown = order[len(known) :]
    if len(unknown):
        assert (small[unknown] == 56).all(axis=1).mean() > 0.5


def test_evidence_alone_has_a_picture_too(thing: Judged, tmp_path: Path) -> None:
    path = tmp_path / "alone.evidence.npz"
    (evidence,) = cut(thing.frame.without_points(), [thing.evidence.instance_id])
    write_evidence(path, evidence, full_view=False)
    done = run("evidence", path, "--picture", tmp_path / "picture.png", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)[0]["estimate"] is None
    assert (tmp_path / "picture.png").is_file()


def test_a_picture_that_cannot_be_is_refused(file: Path, tmp_path: Path) -> None:
    refused(run("evidence", file, file, "--picture", tmp_path / "p.png"), "--picture draws one FILE")
    refused(run("evidence", file, "--picture", tmp_path / "p.jpg"), "ends in .png")
    refused(run("evidence", file, "--picture", tmp_path / "no" / "p.png"), "give another --picture")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_bad_files_alone_are_a_line_each_and_an_empty_list(tmp_path: Path) -> None:
    bad = tmp_path / "bad.evidence.npz"
    bad.write_text("hello")
    refused(run("evidence", bad), "no zip archive at all")
    done = run("evidence", bad, tmp_path, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (2, [])
    assert len(done.stderr.splitlines()) == 2
    refused(run("evidence"), "required: FILE")


def test_reconstruct_leaves_evidence_where_it_is_asked_to(thing: Judged, tmp_path: Path) -> None:
    """What the files hold is what was written beside them, judged from them alone as it was."""
    out = tmp_path / "out"
    done = run_process("reconstruct", thing.folder, "--out", out, "--evidence")
    assert done.returncode == 0, done.stderr
    objects = json.loads((out / "objects.json").read_text())["objects"]
    assert len(objects) == 2
    files = sorted(out.glob("*.evidence.npz"))
    assert [path.name for path in files] == [f"object_{one['id']}.evidence.npz" for one in objects]
    for path, one, record in zip(files, objects, shown(*files), strict=True):
        read = read_evidence(path)
        assert read.estimate is not None and read.evidence.overview.frame is not None
        assert (read.evidence.instance_id, read.evidence.label) == (one["id"], one["label"])
        np.testing.assert_array_equal(read.estimate.camera_from_object.rotation, one["rotation"])
        np.testing.assert_array_equal(read.estimate.mesh.vertices, read_mesh(out / one["mesh"]).vertices)
        assert record["estimate"]["verdict"] == one["verdict"] == record["estimate"]["judged_now"]
    # Once more without: they are of the earlier result, and go with it.
    done = run("reconstruct", thing.folder, "--out", out)
    assert done.returncode == 0, done.stderr
    assert sorted(path.suffix for path in out.iterdir()) == [".glb", ".json", ".ply", ".ply", ".png"]
    # What only looks like one of them is the user's.
    (out / "object_x.evidence.npz").touch()
    assert run("reconstruct", thing.folder, "--out", out).returncode == 2
    assert (out / "object_x.evidence.npz").exists()
    assert ".evidence.npz  with --evidence" in run("reconstruct", "--help").stdout
