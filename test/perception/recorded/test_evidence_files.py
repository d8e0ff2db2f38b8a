"""Evidence comes back from its file bit by bit, and says there what it said before."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
import pytest
from evidence_samples import assert_same, random_estimate, random_piece
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_views import BARREL, assert_same_estimate, assert_same_verdict, simulated

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence, cut
from sam3d_ros.perception.fitting.refinement import refine
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.judging.verdict import judge
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.perception.recorded.evidence_files import (
    SUFFIX,
    EvidenceFileError,
    read_evidence,
    write_evidence,
)
from sam3d_ros.perception.rectification import rectified_evidence

RECONSTRUCTOR = GeometricReconstructor()
PIPELINE = ObjectPipeline(RECONSTRUCTOR)


def there_and_back(
    folder: Path, evidence: Evidence, estimate: ObjectEstimate | None = None, *, full_view: bool = True
) -> tuple[Evidence, ObjectEstimate | None]:
    path = folder / f"piece{SUFFIX}"
    write_evidence(path, evidence, estimate, full_view=full_view)
    read = read_evidence(path)
    return read.evidence, read.estimate


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**31),
    size=st.tuples(st.integers(2, 400), st.integers(2, 60)),
    full_view=st.booleans(),
    splats=st.booleans(),
    vertices=st.integers(0, 40),
    triangles=st.integers(0, 40),
)
def test_every_bit_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    size: tuple[int, int],
    full_view: bool,
    splats: bool,
    vertices: int,
    triangles: int,
) -> None:
    folder = tmp_path_factory.mktemp("bits")
    piece = random_piece(seed, *size)
    estimate = random_estimate(seed, splats=splats, vertices=vertices, triangles=triangles)
    found, answer = there_and_back(folder, piece, estimate, full_view=full_view)
    assert_same(answer, estimate)
    assert_same(found, piece if full_view else replace(piece, overview=piece.overview.kept()))
    assert_same(found.overview.background, piece.overview.background)
    assert (found.overview.frame is not None) == full_view
    assert [path.name for path in folder.iterdir()] == [f"piece{SUFFIX}"]


def test_numpy_reads_the_file_without_pickle(tmp_path: Path) -> None:
    piece, estimate = random_piece(1), random_estimate(1, splats=True)
    path = tmp_path / f"piece{SUFFIX}"
    write_evidence(path, piece, estimate)
    with np.load(path, allow_pickle=False) as arrays:
        assert_same(arrays["points"], piece.points)
        assert_same(arrays["mesh.vertices"], estimate.mesh.vertices)
        assert bytes(arrays["header"]).startswith(b'{"format": "sam3d_ros evidence", "version": 2, ')


def test_a_pose_is_not_straightened(tmp_path: Path) -> None:
    """A rotation that is off by what `Similarity` allows keeps every bit of it."""
    off = np.diag([1.0 + 4e-6, 1.0, -0.0 + 1.0])
    pose = Similarity(off, np.array([-0.0, 1.0, 2.0]), np.array([0.1, 0.2, 0.3]))
    estimate = replace(random_estimate(0, splats=False), camera_from_object=pose)
    _, answer = there_and_back(tmp_path, random_piece(0), estimate)
    assert answer is not None
    assert_same(answer.camera_from_object, pose)


def test_what_is_read_is_the_reader_s_own(tmp_path: Path) -> None:
    found, answer = there_and_back(tmp_path, random_piece(3), random_estimate(3, splats=True))
    assert answer is not None and answer.splats is not None and found.overview.frame is not None
    for array in (
        found.rgb,
        found.points,
        found.overview.labels,
        found.overview.frame.rgb,
        answer.splats.sigma,
    ):
        assert array.flags.writeable and array.flags.c_contiguous


def test_evidence_that_was_kept_has_no_full_view(tmp_path: Path) -> None:
    piece = random_piece(4).kept()
    found, answer = there_and_back(tmp_path, piece)
    assert answer is None
    assert_same(found, piece)


def test_boxes_and_prompts_of_people_stay_behind(tmp_path: Path) -> None:
    frame = simulated(0)
    prompt = KeypointPrompt(1, ("nose",), np.array([[3.0, 4.0]], np.float32))
    (piece,) = cut(replace(frame, prompts=(prompt,)), [1])
    found, _ = there_and_back(tmp_path, piece)
    assert found.overview.frame is not None
    assert found.overview.frame.prompts == () and dict(found.overview.frame.boxes) == {}
    assert_same(found, piece)


def test_arrays_of_any_order_in_memory_come_back_in_that_of_c(tmp_path: Path) -> None:
    piece = random_piece(5)
    turned = replace(
        piece, point_map=PointMap(np.asfortranarray(piece.points)), labels=piece.labels.copy(order="F")
    )
    assert_same(there_and_back(tmp_path, turned)[0], piece)


def test_evidence_freed_of_its_lens_comes_back(tmp_path: Path) -> None:
    """Its camera is another one than that of its overview."""
    for piece in cut(simulated(1, BARREL))[:2]:
        straight = rectified_evidence(piece)
        assert straight is not None and straight.camera != straight.overview.camera
        assert_same(there_and_back(tmp_path, straight)[0], straight)


VIEWS: dict[str, Callable[[], Frame]] = {
    "straight": lambda: replace(
        simulated(1), fixed_from_camera=Similarity(np.diag([1.0, -1.0, -1.0]), np.array([1.0, 2.0, 3.0]))
    ),
    "barrel": lambda: simulated(2, BARREL),
    "lidar": lambda: simulated(2, lidar=True),
    "no metre": lambda: replace(simulated(3), is_metric=False),
    "no sensor": lambda: simulated(4).without_points(),
}


@pytest.mark.parametrize("name", VIEWS)
def test_what_is_read_is_reconstructed_refined_and_judged_as_before(tmp_path: Path, name: str) -> None:
    """Without the full view, too."""
    pieces = cut(VIEWS[name]())[:2]
    answers = PIPELINE.reconstruct(pieces)
    for full_view in (True, False):
        read = [
            there_and_back(tmp_path, piece, answer, full_view=full_view)
            for piece, answer in zip(pieces, answers, strict=True)
        ]
        for left, right in zip(PIPELINE.reconstruct([piece for piece, _ in read]), answers, strict=True):
            assert_same_estimate(left, right)
        assert_judged_as_before(read, pieces, answers)


def assert_judged_as_before(
    read: Sequence[tuple[Evidence, ObjectEstimate | None]],
    pieces: Sequence[Evidence],
    answers: Sequence[ObjectEstimate],
) -> None:
    """Where it was found, and far off."""
    far = Similarity(translation=np.array([0.1, 0.0, 1.0]))
    for (evidence, estimate), piece, answer in zip(read, pieces, answers, strict=True):
        assert estimate is not None
        assert_same(estimate, answer)
        assert_same_verdict(judge(evidence, estimate), answer.verdict)
        for pose in (answer.camera_from_object, far):
            left, right = (replace(thing, camera_from_object=pose) for thing in (estimate, answer))
            assert_same_verdict(judge(evidence, left), judge(piece, right))
            assert_same_estimate(refine(evidence, left, metric=False), refine(piece, right, metric=False))


@pytest.mark.parametrize("name", ["piece.npz", "piece.evidence", "piece", "piece.evidence.npz.old"])
def test_another_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        EvidenceFileError, match=rf"{name} does not end in .evidence.npz: name it piece.evidence.npz"
    ):
        write_evidence(tmp_path / name, random_piece(0))
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_any_name_is_read(tmp_path: Path) -> None:
    piece = random_piece(6)
    write_evidence(tmp_path / f"piece{SUFFIX}", piece)
    moved = (tmp_path / f"piece{SUFFIX}").rename(tmp_path / "upload")
    assert_same(read_evidence(str(moved)).evidence, piece)


def spoilt(piece: Evidence, **changes: Any) -> Evidence:
    return replace(piece, overview=replace(piece.overview, **changes))


def spoilt_estimate(**changes: Any) -> ObjectEstimate:
    return replace(random_estimate(0, splats=True), **changes)


UNREADABLE = {
    "a wrong count of pixels": lambda piece: (replace(piece, pixels=piece.pixels + 1), None),
    "a box that is not around the mask": lambda piece: (
        replace(piece, box=piece.box.grown(1, piece.image_shape)),
        None,
    ),
    "a grid of another size": lambda piece: (spoilt(piece, stride=7), None),
    "a grid of other numbers": lambda piece: (
        spoilt(piece, points=piece.overview.points.astype(np.float64)),
        None,
    ),
    "a camera of another image": lambda piece: (
        spoilt(piece, camera=Camera(9, 9, 9.0, 9.0, 4.0, 4.0), stride=1),
        None,
    ),
    "an absurd stamp": lambda piece: (spoilt(piece, stamp=2**70), None),
    "no text": lambda piece: (replace(piece, label="\ud800"), None),
    "a covariance that is not finite": lambda piece: (
        piece,
        spoilt_estimate(covariance=np.full((6, 6), np.nan)),
    ),
    "a covariance of another size": lambda piece: (piece, spoilt_estimate(covariance=np.eye(3))),
    "splats that disagree": lambda piece: (
        piece,
        spoilt_estimate(splats=replace(random_estimate(0, splats=True).splats, sigma=np.zeros((3, 3)))),
    ),
    "a figure beyond its range": lambda piece: (
        piece,
        spoilt_estimate(verdict=replace(random_estimate(0, splats=False).verdict, mask_iou=1.5)),
    ),
    "an endless figure": lambda piece: (
        piece,
        spoilt_estimate(verdict=replace(random_estimate(0, splats=False).verdict, depth_residual=np.inf)),
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, name: str) -> None:
    evidence, estimate = UNREADABLE[name](cut(simulated(0))[0])
    path = tmp_path / f"piece{SUFFIX}"
    with pytest.raises(EvidenceFileError, match="could not be read") as caught:
        write_evidence(path, evidence, estimate)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_image_beyond_all_bounds_is_not_written(tmp_path: Path) -> None:
    """Whose rays nobody has the memory for."""
    piece = random_piece(0).kept()
    camera = Camera(60000, 60000, 9.0, 9.0, 4.0, 4.0)
    with pytest.raises(EvidenceFileError, match=r"60000x60000, at most 33554432 pixels"):
        write_evidence(tmp_path / f"piece{SUFFIX}", replace(piece, camera=camera))


def test_a_failure_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, piece = tmp_path / f"piece{SUFFIX}", random_piece(0)
    write_evidence(path, piece)

    def full(file: BinaryIO, **_: Any) -> None:
        file.write(b"half of ")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        write_evidence(path, random_piece(1))
    assert list(tmp_path.iterdir()) == [path]
    assert_same(read_evidence(path).evidence, piece)


def test_the_file_is_as_open_as_any_other(tmp_path: Path) -> None:
    path, other = tmp_path / f"piece{SUFFIX}", tmp_path / "other"
    write_evidence(path, random_piece(0))
    other.touch()
    assert stat.S_IMODE(os.stat(path).st_mode) == stat.S_IMODE(os.stat(other).st_mode)  # noqa: PTH116


def test_nothing_to_reconstruct_is_evidence_too(tmp_path: Path) -> None:
    """An instance of one pixel without a point, and an estimate without a triangle."""
    labels = np.zeros((20, 30), np.uint16)
    labels[0, 29] = 65535
    frame = Frame(
        stamp=-5,
        frame_id="",
        rgb=np.zeros((20, 30, 3), np.uint8),
        labels=labels,
        point_map=PointMap.unknown(20, 30),
        points_source=PointsSource.NONE,
        camera=Camera(30, 20, 30.0, 30.0, 15.0, 10.0),
        label_names=MappingProxyType({}),
    )
    (piece,) = cut(frame)
    (answer,) = PIPELINE.reconstruct([piece])
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.uint32), np.zeros((0, 3), np.uint8))
    for estimate in (answer, replace(answer, mesh=empty, measured=None)):
        found, back = there_and_back(tmp_path, piece, estimate)
        assert_same(found, piece)
        assert_same(back, estimate)
