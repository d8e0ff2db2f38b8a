"""The `sam3d` reconstructor: from a frame to the networks and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.mesh_simplify import simplified
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.models.devices import chosen_device
from sam3d_ros.models.objects.checkpoints import DTYPES, CheckpointError
from sam3d_ros.models.objects.hypotheses import spread
from sam3d_ros.models.objects.part_store import Memory
from sam3d_ros.models.objects.parts import Part
from sam3d_ros.models.objects.prediction import ObjectPrediction
from sam3d_ros.models.objects.predictor import OUTPUTS, SAM3DObjects
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import unmeasured
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.perception.rectification import rectified
from sam3d_ros.reconstruction.batches import in_batches, named_errors
from sam3d_ros.reconstruction.network_config import NetworkConfig
from sam3d_ros.reconstruction.schedules import geometry_schedule, refinement_schedule
from sam3d_ros.reconstruction.voxel_mesh import voxel_mesh

Array = NDArray[np.float64]

#: The networks cut a square around the mask, which has to span so many rows and columns.
_LEAST_SPAN = 3
#: Standard deviations of a pose that nothing was refined on: of the position as a share of the object's diameter, where
#: points were given, or of its distance, where not; of the rotation in radians. Orders of magnitude, not calibrated.
_POSITION_SHARE, _DISTANCE_SHARE, _ROTATION = 0.05, 0.5, 0.2
#: Another hypothesis explains the measurement as well when its score is this near to the best one,
_EQUAL_SCORE = 0.02
#: and says something else when its surface is this far away in the median, as a share of the diameter.
_OTHER_SURFACE = 0.05
_SURFACE_POINTS = 2000
#: What the networks raise for damaged weights, and what to do where memory is full.
_ERRORS = (CheckpointError,), "Set memory:=low, lower hypotheses, or use another device."


class Sam3dReconstructor:
    """Runs SAM 3D Objects on all instances of a call at once.

    Args:
        predictor: the networks.
        config: how they run.
    """

    def __init__(self, predictor: SAM3DObjects, config: NetworkConfig | None = None) -> None:
        self.predictor = predictor
        self.config = config or NetworkConfig()
        self._is_loaded = False

    @staticmethod
    def from_checkpoint(config: NetworkConfig) -> Sam3dReconstructor:
        """Find the weights; `load` reads them.

        Raises:
            MissingWeightsError: they are missing or damaged.
            ValueError: the device cannot be used.
        """
        device = chosen_device(config.device)
        dtype = None if config.dtype == "auto" else DTYPES[config.dtype]
        with named_errors(*_ERRORS):
            predictor = SAM3DObjects.from_checkpoint(
                config.folder, device, dtype, memory=Memory(config.memory)
            )
        return Sam3dReconstructor(predictor, config)

    @property
    def name(self) -> str:
        """`sam3d`."""
        return "sam3d"

    @property
    def is_metric(self) -> bool:
        """False: sizes are predicted, and refinement fits them to what was measured."""
        return False

    @property
    def description(self) -> str:
        """Where and how the networks run, in a few words."""
        parts, config = self.predictor.parts, self.config
        dtype = str(parts.dtype).removeprefix("torch.")
        return f"{parts.device} in {dtype}, memory {config.memory}, {config.steps} + {config.refinement_steps} steps"

    def load(self) -> None:
        """Read the weights now, so that the first objects do not wait; where they are kept already, nothing is done.

        With memory `low` they are never kept.

        Raises:
            MissingWeightsError: they are damaged.
            FullMemoryError: they do not fit.
        """
        parts = [Part.GEOMETRY_CONDITION, Part.GEOMETRY, Part.STRUCTURE]
        if self.config.decoded:
            parts += [Part.REFINEMENT_CONDITION, Part.REFINEMENT, *(OUTPUTS[o] for o in self.config.decoded)]
        if not self._is_loaded:
            with named_errors(*_ERRORS):
                self.predictor.parts.preload(*parts)
            self._is_loaded = True

    def release(self) -> None:
        """Give back the memory of the weights; they are read again when they are needed."""
        self.predictor.parts.release()
        self._is_loaded = False

    def reconstruct(
        self, evidence: Sequence[Evidence], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        """Reconstruct instances; see the protocol `Reconstructor`.

        Reasons that it leaves in a verdict: "no_points" (no depth in the mask: the size is a guess), "mask_too_small"
        and "empty_shape" (the mesh is a box), "ambiguous_pose" (another pose fits what was measured as well).

        Raises:
            ValueError: the evidence was kept without the full images.
            MissingWeightsError: the weights are damaged.
            FullMemoryError: not even one object fits into memory.
        """
        if not evidence:
            return []
        frame = evidence[0].overview.frame
        if frame is None:
            raise ValueError(
                "the evidence was kept without the full images, which the networks look at: keep them with it"
            )
        seen = rectified(frame)
        masks = {
            piece.instance_id: mask
            for piece in evidence
            if _spans_enough(mask := seen.mask(piece.instance_id))
        }
        # Whoever's mask is too small has an answer at once.
        answers = {
            piece.instance_id: _boxed(piece, "mask_too_small")
            for piece in evidence
            if piece.instance_id not in masks
        }
        if masks:
            predictions = self._predict(seen, masks, progress)
            for piece in evidence:
                if piece.instance_id in predictions:
                    answers[piece.instance_id] = self._estimate(seen, piece, predictions[piece.instance_id])
        return [answers[piece.instance_id] for piece in evidence]

    def _predict(
        self, frame: Frame, masks: Mapping[int, NDArray[np.bool_]], progress: Progress | None
    ) -> dict[int, ObjectPrediction]:
        """All masks in one call; see `in_batches`."""
        config = self.config
        points = frame.points if np.isfinite(frame.points).any() else None

        def predict(batch: Sequence[int], report: Progress) -> Sequence[ObjectPrediction]:
            with named_errors(*_ERRORS):
                return self.predictor(
                    frame.rgb,
                    np.stack([masks[i] for i in batch]),
                    points,
                    seed=config.seed,
                    geometry=geometry_schedule(config),
                    refinement=refinement_schedule(config),
                    hypotheses=config.hypotheses,
                    outputs=config.decoded,
                    progress=report,
                )

        return in_batches([list(masks)], predict, progress)

    def _estimate(self, seen: Frame, evidence: Evidence, prediction: ObjectPrediction) -> ObjectEstimate:
        if prediction.mesh is None and len(prediction.voxels) == 0:
            return _boxed(evidence, "empty_shape")
        mask = seen.mask(evidence.instance_id)
        mesh = prediction.mesh
        if mesh is None:
            color = np.median(seen.rgb[mask], axis=0).astype(np.uint8)
            mesh = voxel_mesh(prediction.voxels, prediction.resolution, color)
        mesh = _in_cube(simplified(mesh, self.config.max_triangles))
        winner = prediction.hypotheses[prediction.chosen]
        reasons = [] if prediction.metric else ["no_points"]
        if is_ambiguous(prediction):
            reasons.append("ambiguous_pose")
        return ObjectEstimate(
            instance_id=evidence.instance_id,
            label=evidence.label,
            mesh=mesh,
            camera_from_object=winner.camera_from_object,
            covariance=covariance_of(prediction, mesh),
            verdict=Verdict(
                VerdictState.UNCERTAIN if prediction.metric else VerdictState.REJECTED,
                tuple(reasons),
                winner.silhouette,
                winner.depth_residual,
                np.nan,
                int(np.count_nonzero(mask & np.isfinite(seen.points).all(axis=-1))),
                seen.scale_source if prediction.metric else ScaleSource.PRIOR,
            ),
            splats=prediction.splats.get("gaussians", prediction.splats.get("gaussians_4")),
        )


def covariance_of(prediction: ObjectPrediction, mesh: Mesh) -> Array:
    """(6, 6) covariance of the chosen pose before refinement: a prior, and the spread of the other hypotheses."""
    pose = prediction.camera_from_object
    low, high = mesh.bounds.astype(np.float64)
    position = _POSITION_SHARE * float(np.linalg.norm((high - low) * pose.scale))
    if not prediction.metric:
        position = max(position, _DISTANCE_SHARE * float(np.linalg.norm(pose.translation)))
    prior = np.diag([position**2] * 3 + [_ROTATION**2] * 3)
    return np.asarray(prior + spread(prediction.hypotheses, prediction.chosen))


def is_ambiguous(prediction: ObjectPrediction) -> bool:
    """Whether another hypothesis explains the measurement as well and puts the surface elsewhere.

    The turns of a symmetric object are no ambiguity: they leave its surface where it is.
    """
    winner = prediction.hypotheses[prediction.chosen]
    rivals = [
        h
        for h in prediction.hypotheses
        if h is not winner and np.isfinite(h.score) and h.score >= winner.score - _EQUAL_SCORE
    ]
    if not rivals or len(prediction.voxels) == 0:
        return False
    surface = (prediction.voxels + 0.5) / prediction.resolution - 0.5
    surface = surface[:: math.ceil(len(surface) / _SURFACE_POINTS)]
    chosen = winner.camera_from_object.apply(surface)
    diameter = float(np.linalg.norm(np.ptp(chosen, axis=0)))
    tree = cKDTree(chosen)
    gaps = [np.median(tree.query(rival.camera_from_object.apply(surface))[0]) for rival in rivals]
    return bool(max(gaps) > _OTHER_SURFACE * diameter)


def _spans_enough(mask: NDArray[np.bool_]) -> bool:
    rows, columns = np.nonzero(mask)
    return len(rows) > 0 and min(np.ptp(rows), np.ptp(columns)) + 1 >= _LEAST_SPAN


def _boxed(evidence: Evidence, reason: str) -> ObjectEstimate:
    """A box of made-up size where the networks have no answer."""
    box = unmeasured(evidence)
    return replace(box, verdict=replace(box.verdict, reasons=(reason,)))


def _in_cube(mesh: Mesh) -> Mesh:
    """The decoder may leave the canonical cube by a fraction of a voxel."""
    return replace(mesh, vertices=mesh.vertices.clip(-0.5, 0.5))
