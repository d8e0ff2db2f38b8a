"""SAM 3D Body over plain arrays: an image and people in it, their poses and surfaces out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.rig_parameters import RigParameters
from sam3d_ros.models.batches import in_batches
from sam3d_ros.models.body.branch import camera_axes
from sam3d_ros.models.body.checkpoints import read_checkpoint
from sam3d_ros.models.body.keypoints import KEYPOINTS
from sam3d_ros.models.body.metric_root import scale_of_mesh, scale_of_points
from sam3d_ros.models.body.network import BodyNetwork
from sam3d_ros.models.body.pipeline import WRIST_TURN, Mode, People, Pipeline, Scene
from sam3d_ros.models.body.prediction import CAMERA_AXES_FROM_RIG, BodyPrediction
from sam3d_ros.models.body.projection import default_intrinsics
from sam3d_ros.models.body.quirks import Quirks
from sam3d_ros.models.body.rig import Rig
from sam3d_ros.models.body.stages import DEPTH, SURFACE, Progress, Stages


class SAM3DBody:
    """Poses all people of an image in one call.

    Args:
        network: with weights.
        rig: that it was trained with, or one of joints alone.
        quirks: official mistakes to repeat; none by default.
        wrist_turn: largest turn between the wrist of a body and that of its hand, radians, for a close look at
            the hand to be believed.
        max_batch: people that are posed together.
    """

    def __init__(
        self,
        network: BodyNetwork,
        rig: Rig,
        *,
        quirks: Quirks | None = None,
        wrist_turn: float = WRIST_TURN,
        max_batch: int = 8,
    ) -> None:
        if max_batch < 1:
            raise ValueError(f"max_batch is {max_batch}: at least one person is posed at a time")
        self.device = network.prompt_to_token.weight.device
        self.rig = rig.to(self.device)
        self.pipeline = Pipeline(network, self.rig, quirks=quirks, wrist_turn=wrist_turn)
        self.max_batch = max_batch
        self._triangles = _numpy(self.rig.triangles).astype(np.uint32)
        self._exact, self._turns = _numpy(self.pipeline.exact_keypoints), _numpy(self.rig.skeleton.turns)

    @staticmethod
    @torch.inference_mode(mode=False)
    def from_checkpoint(
        path: str | Path,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        *,
        quirks: Quirks | None = None,
        wrist_turn: float = WRIST_TURN,
        max_batch: int = 8,
    ) -> SAM3DBody:
        """Take network and rig from a folder.

        Args:
            path: a folder of official or converted checkpoints.
            device: where the network runs.
            dtype: of the encoder, bfloat16 by default on a GPU and float32 elsewhere; the rest is float32.
            quirks: official mistakes to repeat.
            wrist_turn: as of the constructor.
            max_batch: people that are posed together.

        Raises:
            BodyCheckpointError: the weights are missing or damaged.
            RigError: the rig is missing or damaged.
            RuntimeError: there is too little memory for them; see `devices.is_out_of_memory`.
        """
        device = torch.device(device)
        if dtype is None:
            dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        network, rig = read_checkpoint(Path(path), device, dtype)
        return SAM3DBody(network, rig, quirks=quirks, wrist_turn=wrist_turn, max_batch=max_batch)

    @torch.inference_mode()
    def __call__(
        self,
        image: NDArray[np.uint8],
        boxes: ArrayLike | None = None,
        masks: NDArray[np.bool_] | None = None,
        camera: Camera | None = None,
        points: NDArray[np.floating] | None = None,
        *,
        keypoints: ArrayLike | None = None,
        mode: Mode | str = Mode.FULL,
        surface: bool = True,
        progress: Progress | None = None,
    ) -> list[BodyPrediction]:
        """Pose everybody.

        Args:
            image: (H, W, 3) RGB, without distortion.
            boxes: (N, 4) x1, y1, x2, y2 of the people, pixels; by default those around the masks.
            masks: (N, H, W) bool, of the people; they help where people overlap.
            camera: of the image; without, one is assumed whose focal length is the diagonal of the image.
            points: (H, W, 3) metres, optical frame, NaN where unknown; they give size and distance.
            keypoints: (N, K, 3) x, y in pixels and the index of the keypoint there, of points that are known;
                index -1 for none.
            mode: `full` looks at hands from near, `body` does not, `hand` takes boxes as right hands.
            surface: whether to compute the mesh; joints and keypoints are the same without.
            progress: told about the progress.

        Returns:
            One prediction for each box, in their order.

        Raises:
            ValueError: an argument has another shape than it should, boxes and masks are both missing, a mask
                is empty, or the camera has distortion.
            RuntimeError: memory cannot hold even one person; see `devices.is_out_of_memory`.
        """
        mode, camera = Mode(mode), _camera(image, camera)
        masks, boxes = _masks(image, masks), _boxes(masks, boxes)
        if masks is not None and len(masks) != len(boxes):
            raise ValueError(
                f"there are {len(boxes)} boxes and {len(masks)} masks: give one of each a person"
            )
        if points is not None and points.shape != image.shape:
            raise ValueError(f"points are {points.shape} and the image is {image.shape}: give one size")
        prompts = _prompts(keypoints, len(boxes))
        if prompts is not None and mode is Mode.HAND:
            raise ValueError("keypoints tell about bodies, and the mode is hand: leave them out")

        def scene(rows: slice) -> Scene:
            return Scene(
                self._tensor(image),
                self._tensor(boxes[rows]),
                self._tensor(camera.matrix().astype(np.float32)),
                None if masks is None else self._tensor(masks[rows].astype(np.uint8)),
                None,
                None if prompts is None else self._tensor(prompts[rows]),
            )

        predictions: list[BodyPrediction] = []

        def predict(rows: slice) -> None:
            stages = Stages(self.device, progress, (rows.start / len(boxes), rows.stop / len(boxes)))
            found = self._predictions(scene(rows), mode, surface or points is not None, stages)
            if points is not None and mode is not Mode.HAND:
                stages.begin(DEPTH)
                regions = [None] * len(found) if masks is None else list(masks[rows])
                found = [
                    _placed(person, camera, points, region)
                    for person, region in zip(found, regions, strict=True)
                ]
            stages.end()
            share = {stage: seconds / len(found) for stage, seconds in stages.seconds.items()}
            for person in found:
                # Measuring may have needed the surface where it was not asked for.
                shown = person if surface else replace(person, vertices=None, triangles=None)
                predictions.append(replace(shown, seconds=share))

        in_batches(len(boxes), min(self.max_batch, len(boxes)), predict)
        return predictions

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _predictions(self, scene: Scene, mode: Mode, surface: bool, stages: Stages) -> list[BodyPrediction]:
        people = self.pipeline(scene, mode, stages.begin)
        skin = None
        if surface:
            stages.begin(SURFACE)
            skin = self.pipeline.skin(people.estimate)
        arrays = _on_host(people, skin, scene.boxes)
        return [
            self._prediction({name: values[row] for name, values in arrays.items()})
            for row in range(len(scene.boxes))
        ]

    def _prediction(self, of: dict[str, NDArray]) -> BodyPrediction:
        """One person, by what `_on_host` gives of it."""
        place, axes = of["place"], CAMERA_AXES_FROM_RIG.astype(np.float32)
        left, right = of["hands_used"].tolist()
        vertices = of["vertices"] @ axes if "vertices" in of else None
        return BodyPrediction(
            box=of["box"],
            keypoints=np.where(self._exact[:, None], of["keypoints"] + place, np.float32(np.nan)),
            pixels=np.where(self._exact[:, None], of["pixels"], np.float32(np.nan)),
            joints=of["joints"] + place,
            joint_rotations=axes @ of["rotations"],
            joint_angles=np.where(self._turns, of["angles"], np.float32(np.nan)),
            joint_scales=of["scales"],
            camera_from_body=Similarity(CAMERA_AXES_FROM_RIG, place),
            vertices=vertices,
            triangles=None if vertices is None else self._triangles,
            rig=RigParameters(**{name: of[name] for name in _RIG_FIELDS}),
            metric=None,
            hands_used=(left, right),
            hand_boxes=of.get("hand_boxes"),
            seconds={},
        )


_RIG_FIELDS = ("model", "shape", "root", "body", "hands", "sizes", "camera")


def _on_host(people: People, skin: Tensor | None, boxes: Tensor) -> dict[str, NDArray]:
    """What predictions are made of, of all people: each copied from the device once."""
    estimate, parameters = people.estimate, people.estimate.parameters
    tensors = {
        "box": boxes,
        "place": estimate.place,
        "keypoints": estimate.keypoints,
        "pixels": estimate.pixels,
        "joints": camera_axes(estimate.states.positions),
        "rotations": people.rotations,
        "angles": estimate.states.angles,
        "scales": estimate.states.scales,
        "hands_used": people.hands_used,
        "hand_boxes": people.hand_boxes,
        "vertices": skin,
        "model": estimate.rig_parameters,
        "shape": parameters.shape,
        "root": parameters.root,
        "body": parameters.body,
        "hands": parameters.hands,
        "sizes": parameters.sizes,
        "camera": estimate.camera,
    }
    return {name: _numpy(tensor) for name, tensor in tensors.items() if tensor is not None}


def _placed(
    person: BodyPrediction,
    camera: Camera,
    points: NDArray[np.floating],
    mask: NDArray[np.bool_] | None,
) -> BodyPrediction:
    """The person at the measured distance, or as it was where too little was measured."""
    if person.mesh is not None:
        metric = scale_of_mesh(person.mesh, person.camera_from_body, camera, points, mask)
    else:
        metric = scale_of_points(person.keypoints, camera, points)
    if metric is None:
        return person
    scale = metric.scale
    place = scale * person.camera_from_body.translation
    return replace(
        person,
        keypoints=(scale * person.keypoints).astype(np.float32),
        joints=(scale * person.joints).astype(np.float32),
        camera_from_body=Similarity(CAMERA_AXES_FROM_RIG, place, np.full(3, scale)),
        metric=metric,
    )


def _numpy(tensor: Tensor) -> NDArray:
    return tensor.cpu().numpy()


def _camera(image: NDArray[np.uint8], camera: Camera | None) -> Camera:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"the image is {image.shape} {image.dtype}: give (H, W, 3) uint8 RGB")
    height, width = image.shape[:2]
    if camera is None:
        focal = float(default_intrinsics(width, height)[0, 0])
        return Camera(width, height, focal, focal, width / 2, height / 2)
    if (camera.width, camera.height) != (width, height):
        raise ValueError(
            f"the image is {height}x{width} and the camera {camera.height}x{camera.width}: give one size"
        )
    if camera.is_distorted:
        raise ValueError(
            f"the camera has {camera.distortion_model} distortion: rectify the image, and give the camera of "
            "the rectified one"
        )
    return camera


def _masks(image: NDArray[np.uint8], masks: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    if masks is None:
        return None
    if masks.ndim != 3 or masks.shape[1:] != image.shape[:2]:
        raise ValueError(f"masks are {masks.shape} and the image is {image.shape}: give (N, H, W)")
    masks = np.asarray(masks) != 0
    for index, mask in enumerate(masks):
        if not mask.any():
            raise ValueError(f"mask {index} is empty: leave it out")
    return masks


def _boxes(masks: NDArray[np.bool_] | None, boxes: ArrayLike | None) -> NDArray[np.float32]:
    if boxes is not None:
        given = np.asarray(boxes, dtype=np.float32)
        if given.size == 0:
            given = given.reshape(0, 4)
        if given.ndim != 2 or given.shape[1] != 4 or not np.isfinite(given).all():
            raise ValueError(f"boxes are {given.shape}: give (N, 4) finite x1, y1, x2, y2")
        if (given[:, :2] >= given[:, 2:]).any():
            raise ValueError("a box has no area: give x1 < x2 and y1 < y2")
        return given
    if masks is None:
        raise ValueError("neither boxes nor masks say where people are: give one of them")
    found = np.zeros((len(masks), 4), dtype=np.float32)
    for row, mask in zip(found, masks, strict=True):
        y, x = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        # From edge to edge of the pixels, whose centres are whole numbers.
        row[:] = x[0] - 0.5, y[0] - 0.5, x[-1] + 0.5, y[-1] + 0.5
    return found


def _prompts(keypoints: ArrayLike | None, people: int) -> NDArray[np.float32] | None:
    if keypoints is None:
        return None
    prompts = np.asarray(keypoints, dtype=np.float32)
    if prompts.ndim != 3 or prompts.shape[0] != people or prompts.shape[2] != 3:
        raise ValueError(f"keypoints are {prompts.shape}: give ({people}, K, 3) x, y and index")
    if (prompts[..., 2] >= KEYPOINTS).any():
        raise ValueError(f"a keypoint has an index beyond {KEYPOINTS - 1}")
    return prompts
