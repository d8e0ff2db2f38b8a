"""The adapter between frames and the networks, with tiny networks of random weights read from a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="requirements/models.txt is not installed")

from sam3d_ros.geometry.cameras import Camera  # noqa: E402
from sam3d_ros.geometry.frames import Similarity  # noqa: E402
from sam3d_ros.geometry.point_map import PointMap  # noqa: E402
from sam3d_ros.models.objects.hypotheses import Hypothesis, spread  # noqa: E402
from sam3d_ros.models.objects.prediction import ObjectPrediction  # noqa: E402
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, VerdictState  # noqa: E402
from sam3d_ros.perception.evidence import cut  # noqa: E402
from sam3d_ros.perception.frame import Frame, PointsSource  # noqa: E402
from sam3d_ros.perception.pipeline import ObjectPipeline  # noqa: E402
from sam3d_ros.reconstruction.errors import FullMemoryError, MissingWeightsError  # noqa: E402
from sam3d_ros.reconstruction.network_config import NetworkConfig  # noqa: E402
from sam3d_ros.reconstruction.sam3d import Sam3dReconstructor, covariance_of, is_ambiguous  # noqa: E402

CAMERA = Camera(80, 60, 70.0, 70.0, 40.0, 30.0)
IDS = [5, 9, 11]
#: A mask of two pixels' width, which the networks cannot cut out.
THIN = 20


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def frame() -> Frame:
    """A slanted plane with three masks and a sliver."""
    labels = np.zeros((60, 80), np.uint16)
    labels[10:30, 10:30] = 5
    labels[30:55, 40:75] = 9
    labels[5:15, 50:60] = 11
    labels[40:58, 5:7] = THIN
    v, u = np.mgrid[:60, :80]
    depth = 1.0 + 0.005 * u
    points = np.stack([(u - 40) / 70 * depth, (v - 30) / 70 * depth, depth], axis=-1).astype(np.float32)
    rgb = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    return Frame(
        1, "camera", rgb, labels, PointMap(points), PointsSource.DEPTH, CAMERA, {5: "cup", 11: "tin"}
    )


@pytest.fixture(scope="module")
def config(tiny_checkpoint: Path) -> NetworkConfig:
    return NetworkConfig(
        checkpoint=str(tiny_checkpoint), device="cpu", steps=2, refinement_steps=2, hypotheses=3
    )


@pytest.fixture(scope="module")
def reconstructor(config: NetworkConfig) -> Sam3dReconstructor:
    made = Sam3dReconstructor.from_checkpoint(config)
    made.load()
    return made


@pytest.fixture(scope="module")
def answers(reconstructor: Sam3dReconstructor, frame: Frame) -> list[ObjectEstimate]:
    return reconstructor.reconstruct(cut(frame, IDS))


def without_points(frame: Frame) -> Frame:
    return frame.without_points()


def same(left: ObjectEstimate, right: ObjectEstimate) -> None:
    np.testing.assert_allclose(
        left.camera_from_object.matrix(), right.camera_from_object.matrix(), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(left.mesh.bounds, right.mesh.bounds, atol=1e-3)


def test_every_mask_becomes_a_canonical_mesh_with_a_pose(answers: list[ObjectEstimate]) -> None:
    assert [answer.instance_id for answer in answers] == IDS
    assert [answer.label for answer in answers] == ["cup", "", "tin"]
    for answer in answers:
        assert len(answer.mesh.triangles) > 0
        assert np.abs(answer.mesh.vertices).max() <= 0.5
        np.testing.assert_allclose(np.linalg.det(answer.camera_from_object.rotation), 1.0, atol=1e-6)
        assert (np.linalg.eigvalsh(answer.covariance) > 0).all()
        assert answer.verdict.scale_source is ScaleSource.DEPTH
        assert answer.verdict.point_count > 50
        assert "no_points" not in answer.verdict.reasons


def test_the_pose_is_that_of_the_networks(
    reconstructor: Sam3dReconstructor, frame: Frame, answers: list[ObjectEstimate]
) -> None:
    """The predictor asked by hand for one mask says the same as the adapter for three."""
    from sam3d_ros.models.objects.sampling import Schedule

    (prediction,) = reconstructor.predictor(
        frame.rgb,
        frame.mask(9)[None],
        frame.points,
        seed=0,
        geometry=Schedule.geometry_shortcut(2),
        refinement=Schedule.refinement(2),
        hypotheses=3,
    )
    np.testing.assert_allclose(
        answers[1].camera_from_object.matrix(),
        prediction.camera_from_object.matrix(),
        rtol=1e-3,
        atol=1e-4,
    )
    assert answers[1].verdict.depth_residual == pytest.approx(
        prediction.hypotheses[prediction.chosen].depth_residual, rel=1e-2
    )


def test_the_order_of_the_ids_is_kept(
    reconstructor: Sam3dReconstructor, frame: Frame, answers: list[ObjectEstimate]
) -> None:
    turned = reconstructor.reconstruct(cut(frame, IDS[::-1]))
    assert [answer.instance_id for answer in turned] == IDS[::-1]
    for left, right in zip(turned[::-1], answers, strict=True):
        same(left, right)


def test_a_thin_mask_is_answered_with_a_rejected_box(
    reconstructor: Sam3dReconstructor, frame: Frame, answers: list[ObjectEstimate]
) -> None:
    thin, cup = ObjectPipeline(reconstructor).reconstruct(cut(frame, [THIN, 5]))
    assert (thin.instance_id, cup.instance_id) == (THIN, 5)
    assert thin.verdict.state is VerdictState.REJECTED
    assert "mask_too_small" in thin.verdict.reasons
    assert len(thin.mesh.triangles) == 12
    assert "mask_too_small" not in cup.verdict.reasons


def test_an_id_without_a_pixel_is_an_error(reconstructor: Sam3dReconstructor, frame: Frame) -> None:
    with pytest.raises(ValueError, match="instance 99 has no pixel"):
        reconstructor.reconstruct(cut(frame, [5, 99]))


def test_networks_need_the_full_images(reconstructor: Sam3dReconstructor, frame: Frame) -> None:
    with pytest.raises(ValueError, match="kept without the full images"):
        reconstructor.reconstruct([piece.kept() for piece in cut(frame, [5, 9])])
    assert reconstructor.reconstruct([]) == []


def test_without_points_the_size_is_a_guess(reconstructor: Sam3dReconstructor, frame: Frame) -> None:
    (raw,) = reconstructor.reconstruct(cut(without_points(frame), [5]))
    (judged,) = ObjectPipeline(reconstructor).reconstruct(cut(without_points(frame), [5]))
    for estimate in (raw, judged):
        assert estimate.verdict.scale_source is ScaleSource.PRIOR
        assert estimate.verdict.state is VerdictState.REJECTED
        assert "no_points" in estimate.verdict.reasons
        assert estimate.verdict.point_count == 0
    distance = np.linalg.norm(raw.camera_from_object.translation)
    assert np.sqrt(raw.covariance[0, 0]) >= 0.5 * distance


def test_depth_elsewhere_does_not_make_an_object_metric(
    reconstructor: Sam3dReconstructor, frame: Frame
) -> None:
    points = frame.points.copy()
    points[frame.mask(5)] = np.nan
    cup, other = ObjectPipeline(reconstructor).reconstruct(
        cut(replace(frame, point_map=PointMap(points)), [5, 9])
    )
    assert cup.verdict.scale_source is ScaleSource.PRIOR
    assert other.verdict.scale_source is ScaleSource.DEPTH


def test_the_pose_alone_comes_with_a_mesh_of_voxels(config: NetworkConfig, frame: Frame) -> None:
    coarse = Sam3dReconstructor.from_checkpoint(replace(config, outputs=("pose",)))
    (estimate,) = coarse.reconstruct(cut(frame, [9]))
    assert estimate.mesh.volume() > 0
    expected = np.median(frame.rgb[frame.mask(9)], axis=0).astype(np.uint8)
    assert (estimate.mesh.colors == expected).all()


def test_meshes_stay_within_their_budget(config: NetworkConfig, frame: Frame) -> None:
    small = Sam3dReconstructor.from_checkpoint(replace(config, max_triangles=500))
    (estimate,) = small.reconstruct(cut(frame, [9]))
    assert 0 < len(estimate.mesh.triangles) <= 500


def test_progress_grows_to_the_end_and_can_cancel(reconstructor: Sam3dReconstructor, frame: Frame) -> None:
    shares: list[float] = []
    reconstructor.reconstruct(cut(frame, IDS), progress=lambda stage, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == pytest.approx(1.0)

    class Enough(Exception):
        pass

    def cancel(stage: str, share: float) -> None:
        if share > 0.2:
            raise Enough

    with pytest.raises(Enough):
        reconstructor.reconstruct(cut(frame, IDS), progress=cancel)
    assert len(reconstructor.reconstruct(cut(frame, [5]))) == 1


def test_one_seed_gives_one_answer(
    config: NetworkConfig, frame: Frame, answers: list[ObjectEstimate]
) -> None:
    again = Sam3dReconstructor.from_checkpoint(config).reconstruct(cut(frame, IDS))
    for left, right in zip(again, answers, strict=True):
        np.testing.assert_array_equal(left.camera_from_object.matrix(), right.camera_from_object.matrix())
    (other,) = Sam3dReconstructor.from_checkpoint(replace(config, seed=1)).reconstruct(cut(frame, [5]))
    assert not np.allclose(other.camera_from_object.matrix(), answers[0].camera_from_object.matrix())


class Crowded:
    """The networks on a device that holds so many objects at a time."""

    def __init__(self, reconstructor: Sam3dReconstructor, room: int) -> None:
        self._predictor = reconstructor.predictor
        self.parts = self._predictor.parts
        self.room = room
        self.batches: list[int] = []

    def __call__(self, image, masks, points, **options):  # type: ignore[no-untyped-def]
        self.batches.append(len(masks))
        if len(masks) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self._predictor(image, masks, points, **options)


@pytest.mark.parametrize(("room", "batches"), [(3, [3]), (2, [3, 2, 1]), (1, [3, 2, 1, 1, 1])])
def test_out_of_memory_makes_smaller_batches(
    reconstructor: Sam3dReconstructor,
    frame: Frame,
    answers: list[ObjectEstimate],
    room: int,
    batches: list[int],
) -> None:
    crowded = Crowded(reconstructor, room)
    shares: list[float] = []
    found = Sam3dReconstructor(crowded, reconstructor.config).reconstruct(
        cut(frame, IDS), progress=lambda stage, share: shares.append(share)
    )
    assert crowded.batches == batches
    assert shares == sorted(shares)
    for left, right in zip(found, answers, strict=True):
        same(left, right)


def test_no_room_for_one_object_is_an_error_with_a_name(
    reconstructor: Sam3dReconstructor, frame: Frame
) -> None:
    crowded = Crowded(reconstructor, 0)
    with pytest.raises(FullMemoryError, match="memory:=low"):
        Sam3dReconstructor(crowded, reconstructor.config).reconstruct(cut(frame, IDS))
    assert crowded.batches == [3, 2, 1]


def test_the_host_running_full_is_recognised() -> None:
    """No machine has a pebibyte: the allocator itself says how that sounds."""
    from sam3d_ros.models.devices import is_out_of_memory

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.float32)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_weights_are_read_again_after_a_release(
    config: NetworkConfig, frame: Frame, answers: list[ObjectEstimate]
) -> None:
    made = Sam3dReconstructor.from_checkpoint(config)
    made.load()
    made.release()
    (estimate,) = made.reconstruct(cut(frame, [5]))
    same(estimate, answers[0])


def test_weights_that_are_damaged_later_are_named(
    config: NetworkConfig, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    import shutil

    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "weights"))
    made = Sam3dReconstructor.from_checkpoint(replace(config, checkpoint=str(folder)))
    file = next(folder.glob("*_geometry.safetensors"))
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(MissingWeightsError, match=r"geometry\.safetensors is damaged"):
        made.load()


SPHERE = np.unique(np.rint(np.random.default_rng(1).normal(size=(4000, 3)) * 3).clip(-9, 9) + 16, axis=0)


def prediction(*hypotheses: Hypothesis, metric: bool = True) -> ObjectPrediction:
    """A ball of voxels with a bump, and some poses of it."""
    ball = SPHERE[np.abs(np.linalg.norm(SPHERE - 16, axis=1) - 6) < 1].astype(np.int32)
    return ObjectPrediction(hypotheses, 0, metric, ball, 32, None, {}, {})


def pose(x: float = 0.0, turn: float = 0.0) -> Similarity:
    c, s = np.cos(turn), np.sin(turn)
    return Similarity(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.array([x, 0, 1.0]), np.full(3, 0.2))


def test_equally_good_poses_elsewhere_are_ambiguous() -> None:
    good = Hypothesis(pose(), 0.001, 0.9)
    assert not is_ambiguous(prediction(good))
    assert is_ambiguous(prediction(good, Hypothesis(pose(x=0.06), 0.001, 0.9)))
    # Far away but worse, near and as good, turned about a symmetry, or never judged: none of them is a rival.
    assert not is_ambiguous(prediction(good, Hypothesis(pose(x=0.06), 0.01, 0.5)))
    assert not is_ambiguous(prediction(good, Hypothesis(pose(x=0.0005), 0.001, 0.9)))
    assert not is_ambiguous(prediction(good, Hypothesis(pose(turn=np.pi / 2), 0.001, 0.9)))
    assert not is_ambiguous(prediction(Hypothesis(pose()), Hypothesis(pose(x=0.06))))


def test_the_spread_of_the_hypotheses_is_in_the_covariance(answers: list[ObjectEstimate]) -> None:
    mesh = answers[0].mesh
    alone = covariance_of(prediction(Hypothesis(pose(), 0.001, 0.9)), mesh)
    other = Hypothesis(pose(x=0.06, turn=0.5), 0.001, 0.9)
    both = prediction(Hypothesis(pose(), 0.001, 0.9), other)
    np.testing.assert_allclose(covariance_of(both, mesh) - alone, spread(both.hypotheses, 0), atol=1e-12)
    assert covariance_of(both, mesh)[0, 0] - alone[0, 0] == pytest.approx(0.06**2)
    assert covariance_of(both, mesh)[5, 5] - alone[5, 5] == pytest.approx(0.5**2)
