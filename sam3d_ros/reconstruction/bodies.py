"""Reconstruction of people: from a frame to SAM 3D Body and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.models.body.checkpoints import BodyCheckpointError
from sam3d_ros.models.body.joints import JOINT_NAMES
from sam3d_ros.models.body.keypoints import LINKS, NAMES
from sam3d_ros.models.body.prediction import BodyPrediction
from sam3d_ros.models.body.predictor import SAM3DBody
from sam3d_ros.models.body.rig_files import RigError
from sam3d_ros.models.devices import chosen_device, give_back_cached_memory
from sam3d_ros.models.objects.checkpoints import DTYPES
from sam3d_ros.perception.estimates import ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Overview
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.measurement import hiding_pixels
from sam3d_ros.perception.people.estimates import BodyEstimate, Skeleton, camera_from_body
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.perception.rectification import rectified
from sam3d_ros.perception.surroundings import without_surroundings
from sam3d_ros.perception.window import window_of
from sam3d_ros.reconstruction.batches import in_batches, named_errors
from sam3d_ros.reconstruction.body_config import BodyNetworkConfig
from sam3d_ros.reconstruction.errors import MissingWeightsError

#: Names of what SAM 3D Body gives.
SKELETON = Skeleton(NAMES, LINKS, JOINT_NAMES)

#: A silhouette that overlaps its mask less is not trusted, or not believed at all.
_GOOD_OVERLAP, _BEARABLE_OVERLAP = 0.6, 0.3
#: So many rays tell the overlap of a silhouette and its mask.
_MOST_RAYS = 10_000
#: What the networks raise for damaged weights, and what to do where memory is full.
_ERRORS = (BodyCheckpointError, RigError), "Use mode body, fewer people at once, or another device."


class BodyNetworkReconstructor:
    """Poses all people of a call at once with SAM 3D Body; the weights are read when they are first needed.

    Args:
        config: which weights, and how they run.
        predictor: the networks, where they were read already.

    Raises:
        MissingWeightsError: there are no weights.
        ValueError: the device cannot be used.
    """

    def __init__(self, config: BodyNetworkConfig | None = None, predictor: SAM3DBody | None = None) -> None:
        self.config = config or BodyNetworkConfig()
        self._device = chosen_device(self.config.device)
        self._predictor = predictor
        if predictor is None and (obstacle := self.config.obstacle()):
            raise MissingWeightsError(obstacle)

    @property
    def name(self) -> str:
        """`sam3d_body`."""
        return "sam3d_body"

    @property
    def skeleton(self) -> Skeleton:
        """Names of keypoints and joints."""
        return SKELETON

    @property
    def description(self) -> str:
        """Where and how the networks run, in a few words."""
        return f"{self._device} in {self.config.dtype}, mode {self.config.mode}"

    def load(self) -> None:
        """Read the weights now, so that the first people do not wait.

        Raises:
            MissingWeightsError: they are damaged.
            FullMemoryError: they do not fit.
        """
        self._loaded()

    def release(self) -> None:
        """Give back the memory of the weights; they are read again when they are needed."""
        self._predictor = None
        give_back_cached_memory()

    def _loaded(self) -> SAM3DBody:
        if self._predictor is None:
            config = self.config
            dtype = None if config.dtype == "auto" else DTYPES[config.dtype]
            with named_errors(*_ERRORS):
                self._predictor = SAM3DBody.from_checkpoint(
                    config.folder, self._device, dtype, max_batch=config.max_batch
                )
        return self._predictor

    def reconstruct(
        self, frame: Frame, instance_ids: Sequence[int], *, progress: Progress | None = None
    ) -> list[BodyEstimate]:
        """Pose people; see the protocol `BodyReconstructor`.

        A metric point map inside a mask gives size and distance of the body; the scale source of the verdict says so.
        Without one it is PRIOR: they are as the camera alone suggests. Reasons that it leaves in a verdict: "no_points"
        (nothing is measured in the mask), "few_points" (what is measured there does not agree on a scale),
        "low_overlap" (the silhouette misses the mask).

        People who are told by a box are seen without a mask: what is measured where the network sees them places them,
        and the box around their silhouette is compared with theirs. Prompts of the frame that name an instance are
        given to the network; people of whom equally many keypoints are known are one batch.

        Raises:
            ValueError: an id has neither a pixel nor a box in the frame.
            MissingWeightsError: the weights are damaged.
            FullMemoryError: not even one person fits into memory.
        """
        known = frame.instance_ids()
        for instance_id in instance_ids:
            if instance_id not in known:
                raise ValueError(
                    f"instance {instance_id} is not in this frame: ask only for ids of `Frame.instance_ids()`"
                )
        seen = rectified(frame if frame.is_metric else frame.without_points())
        shown = seen.instance_ids()
        people = self._predict(seen, [i for i in instance_ids if i in shown], progress)
        # A floor that has a label hides nobody.
        around = Overview.of(seen).surroundings
        return [
            _estimate(seen, around, frame.label(instance_id), instance_id, person)
            for instance_id, person in people.items()
        ]

    def _predict(
        self, frame: Frame, instance_ids: Sequence[int], progress: Progress | None
    ) -> dict[int, BodyPrediction]:
        """Everybody of whom equally many keypoints are known in one call; see `in_batches`."""
        if not instance_ids:
            return {}
        predictor = self._loaded()
        points = frame.points if np.isfinite(frame.points).any() else None

        def predict(batch: Sequence[int], report: Progress) -> Sequence[BodyPrediction]:
            with named_errors(*_ERRORS):
                return predictor(
                    frame.rgb,
                    boxes=np.stack([frame.boxes[i] for i in batch]) if frame.boxes else None,
                    masks=None if frame.boxes else np.stack([frame.mask(i) for i in batch]),
                    camera=frame.camera,
                    points=points,
                    keypoints=_keypoints(frame, batch),
                    mode=self.config.mode,
                    progress=report,
                )

        people = in_batches(_equally_known(frame, instance_ids), predict, progress)
        return {instance_id: people[instance_id] for instance_id in instance_ids}


def _equally_known(frame: Frame, instance_ids: Sequence[int]) -> list[list[int]]:
    """People in groups of whom equally many keypoints are known.

    Prompts of a batch are filled up to one number, and the network's answer to somebody depends on how many there are:
    nobody's pose may change with what is known of others.
    """
    counts = {prompt.instance_id: len(prompt.names) for prompt in frame.prompts}
    groups: dict[int, list[int]] = {}
    for instance_id in instance_ids:
        groups.setdefault(counts.get(instance_id, 0), []).append(instance_id)
    return list(groups.values())


def _keypoints(frame: Frame, instance_ids: Sequence[int]) -> NDArray[np.float32] | None:
    """(N, K, 3) pixels and index of the keypoints that are known of people, for the predictor; None for none."""
    prompts = {prompt.instance_id: prompt for prompt in frame.prompts}
    known = [prompts[instance_id] for instance_id in instance_ids if instance_id in prompts]
    if not known:
        return None
    indices = [[NAMES.index(name) for name in prompt.names] for prompt in known]
    pixels = np.stack([prompt.pixels for prompt in known])
    return np.concatenate([pixels, np.array(indices, np.float32)[..., None]], axis=-1)


def _estimate(
    frame: Frame, around: tuple[int, ...], label: str, instance_id: int, person: BodyPrediction
) -> BodyEstimate:
    pose = camera_from_body(SKELETON, person.keypoints)
    mesh = person.mesh
    if mesh is not None:
        vertices = pose.apply_inverse(person.camera_from_body.apply(mesh.vertices))
        mesh = Mesh(vertices.astype(np.float32), mesh.triangles, mesh.colors)
    return BodyEstimate(
        instance_id=instance_id,
        label=label,
        skeleton=SKELETON,
        keypoints=person.keypoints,
        confidences=np.full(len(person.keypoints), np.nan, np.float32),
        joints=person.joints,
        joint_rotations=person.joint_rotations,
        joint_angles=person.joint_angles,
        camera_from_body=pose,
        mesh=mesh,
        rig=person.rig,
        verdict=_verdict(frame, around, instance_id, mesh, pose, person),
    )


def _verdict(
    frame: Frame,
    around: tuple[int, ...],
    instance_id: int,
    mesh: Mesh | None,
    pose: Similarity,
    person: BodyPrediction,
) -> Verdict:
    mask = frame.mask(instance_id)
    overlap, residual = (np.nan, np.nan)
    if mesh is not None:
        overlap, residual = _figures(frame, around, instance_id, mesh, pose)
    if mesh is not None and frame.boxes:
        overlap = _overlap_of_boxes(frame, instance_id, mesh, pose)
    metric = person.metric
    reasons = []
    if metric is None:
        measured = np.isfinite(frame.points[mask]).all(axis=-1).any()
        reasons.append("few_points" if measured else "no_points")
    if overlap < _GOOD_OVERLAP:
        reasons.append("low_overlap")
    state = VerdictState.UNCERTAIN if reasons else VerdictState.ACCEPTED
    return Verdict(
        VerdictState.REJECTED if overlap < _BEARABLE_OVERLAP else state,
        tuple(reasons),
        overlap,
        residual,
        np.nan if metric is None else metric.share,
        0 if metric is None else metric.count,
        ScaleSource.PRIOR if metric is None else frame.scale_source,
    )


def _figures(
    frame: Frame, around: tuple[int, ...], instance_id: int, mesh: Mesh, pose: Similarity
) -> tuple[float, float]:
    """Overlap of silhouette and mask, and the median distance along the optical axis of points to surface, metres."""
    mask = frame.mask(instance_id)
    window = window_of(mask).including(frame.camera.project(pose.apply(mesh.vertices)), mask.shape)
    stride = max(1, math.isqrt(window.area // _MOST_RAYS))
    rows, columns = window.slices
    grid = (slice(rows.start, rows.stop, stride), slice(columns.start, columns.stop, stride))
    seen = RayScene([(mesh, pose)]).cast(frame.camera.rays()[grid])
    inside, depth = mask[grid], frame.points[grid][..., 2]
    things = without_surroundings(frame.labels[grid], around, instance_id)
    hiding = hiding_pixels(inside, things, depth)
    union = np.count_nonzero((seen.hit | inside) & ~hiding)
    overlap = np.count_nonzero(seen.hit & inside) / union if union else 0.0
    gaps = np.abs(seen.distance - depth)[seen.hit & inside]
    gaps = gaps[np.isfinite(gaps)]
    return float(overlap), float(np.median(gaps)) if len(gaps) else float("nan")


def _overlap_of_boxes(frame: Frame, instance_id: int, mesh: Mesh, pose: Similarity) -> float:
    """Intersection over union of the box around what the image shows of a surface, and the given one."""
    camera, given = frame.camera, frame.boxes[instance_id].astype(np.float64)
    pixels = camera.project(pose.apply(mesh.vertices))
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if len(pixels) == 0:
        return 0.0
    corners = np.stack([pixels.min(axis=0), pixels.max(axis=0)])
    low, high = corners.clip(-0.5, (camera.width - 0.5, camera.height - 0.5))
    common = (np.minimum(high, given[2:]) - np.maximum(low, given[:2])).clip(min=0).prod()
    return float(common / ((high - low).prod() + (given[2:] - given[:2]).prod() - common))
