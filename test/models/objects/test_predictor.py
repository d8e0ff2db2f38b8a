"""The predictor at a tiny size with random weights: everything but the numbers of the trained network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sam3d_ros.models.objects.conditioning import ConditionEncoder
from sam3d_ros.models.objects.dinov2 import DinoEncoder
from sam3d_ros.models.objects.guidance import ConditionedFlow
from sam3d_ros.models.objects.part_store import Memory, PartStore, RandomSource
from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.objects.prediction import ObjectPrediction
from sam3d_ros.models.objects.predictor import SAM3DObjects
from sam3d_ros.models.objects.sampling import Schedule, draw_lattice_noise

GEOMETRY = Schedule.geometry(4)
REFINEMENT = Schedule.refinement(3)
ALL_OUTPUTS = ("mesh", "gaussians", "gaussians_4")


def predictor(
    memory: Memory = Memory.HIGH, dtype: torch.dtype = torch.float32, seed: int = 4
) -> SAM3DObjects:
    store = PartStore(
        RandomSource(ObjectsConfig.tiny(), seed), device=torch.device("cpu"), dtype=dtype, memory=memory
    )
    return SAM3DObjects(store, max_batch=3)


@pytest.fixture(scope="module")
def tiny() -> SAM3DObjects:
    return predictor()


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A slanted plane seen by a pinhole, a coloured image and four masks."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
    masks = np.zeros((4, 60, 80), bool)
    masks[0, 10:40, 20:50] = True
    masks[1, 30:60, 40:80] = True
    masks[2, 5:12, 3:33] = True
    masks[3, 40:44, 8:12] = True
    v, u = np.mgrid[:60, :80]
    z = 1.0 + 0.01 * u
    points = np.stack([(u - 40) / 70 * z, (v - 30) / 70 * z, z], axis=-1).astype(np.float32)
    points[::9] = np.nan
    return image, masks, points


def assert_same(left: ObjectPrediction, right: ObjectPrediction) -> None:
    np.testing.assert_array_equal(left.voxels, right.voxels)
    for one, other in zip(left.hypotheses, right.hypotheses, strict=True):
        assert_allclose(
            one.camera_from_object.matrix(), other.camera_from_object.matrix(), rtol=1e-4, atol=1e-5
        )
    assert (left.mesh is None) == (right.mesh is None)
    if left.mesh is not None and right.mesh is not None:
        assert left.mesh.vertices.shape == right.mesh.vertices.shape
        assert_allclose(left.mesh.vertices, right.mesh.vertices, atol=1e-4)
    assert left.splats.keys() == right.splats.keys()
    for name in left.splats:
        assert_allclose(left.splats[name].position, right.splats[name].position, atol=1e-5)


def test_all_outputs(tiny, scene):
    image, masks, points = scene
    seen: list[tuple[str, float]] = []
    predictions = tiny(
        image,
        masks,
        points,
        seed=0,
        geometry=GEOMETRY,
        refinement=REFINEMENT,
        outputs=ALL_OUTPUTS,
        progress=lambda stage, share: seen.append((stage, share)),
    )
    assert len(predictions) == len(masks)
    for prediction in predictions:
        assert prediction.metric
        assert len(prediction.voxels) > 0 and prediction.voxels.max() < prediction.resolution
        assert prediction.mesh is not None
        assert np.abs(prediction.mesh.vertices).max() <= 0.5 + 0.5 / tiny.config.mesh.resolution
        assert len(prediction.splats["gaussians"]) == 8 * len(prediction.voxels)
        assert len(prediction.splats["gaussians_4"]) == 4 * len(prediction.voxels)
        assert all(value > 0 for value in prediction.seconds.values())
        assert prediction.seconds.keys() == {stage for stage, _ in seen}
    shares = [share for _, share in seen]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1


def test_masks_in_one_call_equal_one_at_a_time_and_the_image_is_encoded_once(tiny, scene):
    image, masks, points = scene
    encoded = []
    for part in (Part.GEOMETRY_CONDITION, Part.REFINEMENT_CONDITION):
        with tiny.parts.use(part) as module:
            colours = module.module_list[0]
            assert isinstance(colours, DinoEncoder)
            colours.register_forward_hook(
                lambda _m, inputs, _out, part=part: encoded.append((part, len(inputs[0])))
            )
    options = {"seed": 5, "geometry": GEOMETRY, "refinement": REFINEMENT, "outputs": ALL_OUTPUTS}
    together = tiny(image, masks, points, **options)
    for part in (Part.GEOMETRY_CONDITION, Part.REFINEMENT_CONDITION):
        # The full view once, and each crop once.
        assert sum(rows for p, rows in encoded if p is part) == 1 + len(masks)
    for index, prediction in enumerate(together):
        (alone,) = tiny(image, masks[index : index + 1], points, **options)
        assert_same(prediction, alone)


@pytest.mark.parametrize("memory", [Memory.LOW, Memory.BALANCED])
def test_neither_reuse_nor_memory_changes_the_result(tiny, scene, memory):
    image, masks, points = scene
    options = {"seed": 1, "geometry": GEOMETRY, "refinement": REFINEMENT}
    expected = tiny(image, masks[:2], points, **options)
    other = predictor(memory)(image, masks[:2], points, reuse=False, **options)
    for left, right in zip(expected, other, strict=True):
        assert_same(left, right)


def test_one_seed_one_result(tiny, scene):
    image, masks, points = scene
    first, again = (
        tiny(image, masks[:1], points, seed=9, geometry=GEOMETRY, outputs=())[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first.voxels, again.voxels)
    np.testing.assert_array_equal(first.camera_from_object.matrix(), again.camera_from_object.matrix())
    (other,) = tiny(image, masks[:1], points, seed=10, geometry=GEOMETRY, outputs=())
    assert not np.array_equal(first.camera_from_object.matrix(), other.camera_from_object.matrix())


def test_more_hypotheses_keep_the_shape_and_the_first_pose(tiny, scene):
    image, masks, points = scene
    options = {"seed": 2, "geometry": GEOMETRY, "refinement": REFINEMENT}
    (one,) = tiny(image, masks[:1], points, **options)
    (many,) = tiny(image, masks[:1], points, hypotheses=5, **options)
    assert len(many.hypotheses) == 5
    np.testing.assert_array_equal(one.voxels, many.voxels)
    assert one.mesh is not None and many.mesh is not None
    assert_allclose(one.mesh.vertices, many.mesh.vertices, atol=1e-5)
    assert_allclose(
        one.camera_from_object.matrix(), many.hypotheses[0].camera_from_object.matrix(), rtol=1e-4, atol=1e-5
    )
    scores = [hypothesis.score for hypothesis in many.hypotheses]
    assert many.hypotheses[many.chosen].score == max(scores)
    assert len({round(score, 6) for score in scores}) == 5


def test_the_pose_alone_needs_no_second_stage(tiny, scene):
    image, masks, points = scene
    stages = set()
    (prediction,) = tiny(
        image, masks[:1], points, seed=0, geometry=GEOMETRY, outputs=(), progress=lambda s, _: stages.add(s)
    )
    assert prediction.mesh is None and not prediction.splats and len(prediction.voxels) > 0
    assert "refinement" not in stages


def test_without_points_nothing_is_metric(tiny, scene):
    image, masks, points = scene
    (blind,) = tiny(image, masks[:1], seed=0, geometry=GEOMETRY, outputs=())
    unmeasured = np.where(masks[0][..., None], np.nan, points)
    (hidden,) = tiny(image, masks[:1], unmeasured, seed=0, geometry=GEOMETRY, outputs=())
    assert not blind.metric and not hidden.metric
    assert np.isnan(blind.hypotheses[0].depth_residual) and np.isnan(hidden.hypotheses[0].silhouette)


def test_an_object_without_voxels_has_no_mesh(tiny, scene):
    image, masks, points = scene
    empty = predictor()
    with empty.parts.use(Part.STRUCTURE) as decoder:
        decoder.out_layer[-1].bias.fill_(-1e6)
    (prediction,) = empty(image, masks[:1], points, seed=0, geometry=GEOMETRY, hypotheses=2)
    assert prediction.voxels.shape == (0, 3)
    assert prediction.mesh is None
    assert np.isfinite(prediction.camera_from_object.matrix()).all()


def test_a_call_can_be_cancelled(tiny, scene):
    class Cancelled(RuntimeError):
        pass

    def progress(stage: str, share: float) -> None:
        if share > 0.2:
            raise Cancelled(stage)

    image, masks, points = scene
    with pytest.raises(Cancelled, match="geometry"):
        tiny(image, masks, points, seed=0, geometry=GEOMETRY, progress=progress)
    assert tiny(image, masks[:1], points, seed=0, geometry=GEOMETRY, outputs=())


def test_bfloat16_runs_and_stays_near(tiny, scene):
    image, masks, points = scene
    options = {"seed": 3, "geometry": Schedule.geometry_shortcut(2), "outputs": ()}
    (exact,) = tiny(image, masks[:1], points, **options)
    (rough,) = predictor(dtype=torch.bfloat16)(image, masks[:1], points, **options)
    shift = exact.camera_from_object.translation - rough.camera_from_object.translation
    assert np.linalg.norm(shift) < 0.1 * np.linalg.norm(exact.camera_from_object.translation)
    (whole,) = predictor(dtype=torch.bfloat16)(
        image, masks[:1], points, **(options | {"outputs": ALL_OUTPUTS})
    )
    assert whole.mesh is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((60, 80), np.uint8)}, "image is uint8"),
        ({"masks": np.ones((60, 80), bool)}, "masks are bool"),
        ({"masks": np.ones((1, 60, 80), np.uint8)}, "masks are uint8"),
        ({"masks": np.zeros((1, 60, 80), bool)}, "mask 0 of 1: the mask is empty"),
        ({"points": np.zeros((30, 40, 3), np.float32)}, "points are"),
        ({"outputs": ("mesh", "nerf")}, "nerf"),
        ({"hypotheses": 0}, "at least one"),
    ],
)
def test_wrong_inputs_are_refused(tiny, scene, change, message):
    image, masks, points = scene
    with pytest.raises(ValueError, match=message):
        tiny(**({"image": image, "masks": masks, "points": points, "geometry": GEOMETRY} | change))


def test_no_masks_no_objects(tiny, scene):
    image, masks, points = scene
    assert tiny(image, masks[:0], points, geometry=GEOMETRY) == []


def test_networks_can_be_released_and_come_back(scene):
    image, masks, points = scene
    own = predictor()
    options = {"seed": 0, "geometry": Schedule.geometry_shortcut(1), "outputs": ()}
    (before,) = own(image, masks[:1], points, **options)
    own.parts.release()
    own.parts.preload(Part.GEOMETRY)
    (after,) = own(image, masks[:1], points, **options)
    assert_same(before, after)


def test_a_call_leaves_the_generators_of_the_caller_alone(tiny, scene):
    image, masks, points = scene
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    found = {
        tiny(image, masks[:1], points, geometry=Schedule.geometry_shortcut(1), outputs=())[0]
        .camera_from_object.matrix()
        .tobytes()
        for _ in range(2)
    }
    assert torch.equal(torch.rand(3), expected)
    assert len(found) == 2, "without a seed, each call draws its own"


def test_networks_of_a_call_can_be_trained_afterwards(scene):
    """They are loaded within inference mode, where tensors are made that no gradient may pass."""
    image, masks, points = scene
    own = predictor(Memory.HIGH)
    own(image, masks[:1], points, seed=0, geometry=Schedule.geometry_shortcut(1), outputs=())
    with own.parts.use(Part.STRUCTURE) as module:
        assert not any(value.is_inference() for value in module.state_dict().values())
        module.requires_grad_(True)
        module(torch.zeros(1, 64, 8)).sum().backward()
        assert module.out_layer[-1].weight.grad is not None


@pytest.mark.parametrize("stage", ["encode", "geometry", "refinement"])
def test_memory_that_runs_out_in_any_stage_costs_only_time(tiny, scene, monkeypatch, stage):
    """Each kind of work fails at its first attempt, as it would on a full GPU."""
    image, masks, points = scene
    options = {"seed": 0, "geometry": GEOMETRY, "refinement": REFINEMENT}
    expected = tiny(image, masks[:2], points, **options)
    failures = []

    def failing_once(function):
        def wrapper(*args, **kwargs):
            if not failures:
                failures.append(stage)
                raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")
            return function(*args, **kwargs)

        return wrapper

    owner, name = {
        "encode": (ConditionEncoder, "context"),
        "geometry": (ConditionedFlow, "of_geometry"),
        "refinement": (ConditionedFlow, "of_refinement"),
    }[stage]
    monkeypatch.setattr(owner, name, failing_once(getattr(owner, name)))
    for left, right in zip(tiny(image, masks[:2], points, **options), expected, strict=True):
        assert_same(left, right)
    assert failures == [stage]


def test_noise_of_places_does_not_depend_on_other_voxels(tiny, scene):
    coords = torch.tensor([[0, 0, 1], [3, 2, 7], [7, 7, 7]])
    whole = draw_lattice_noise(coords, 8, 4, torch.Generator().manual_seed(1))
    some = draw_lattice_noise(coords[1:], 8, 4, torch.Generator().manual_seed(1))
    assert torch.equal(whole[:, 1:], some)
    image, masks, points = scene
    options = {"seed": 0, "geometry": GEOMETRY, "refinement": REFINEMENT, "lattice_noise": True}
    assert_same(*(tiny(image, masks[:1], points, **options)[0] for _ in range(2)))
