"""SAM 3D Objects over plain arrays: an image and masks in, objects with metric poses out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam3d_ros.geometry.frames import optical_from_pytorch3d
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.splats import Splats
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.checkpoints import CheckpointSource
from sam3d_ros.models.objects.conditioning import ConditionConfig, ConditionEncoder
from sam3d_ros.models.objects.geometry_model import POSE_CHANNELS, Latents
from sam3d_ros.models.objects.guidance import VOXELS, ConditionedFlow
from sam3d_ros.models.objects.hypotheses import Hypothesis, best, judged
from sam3d_ros.models.objects.occupancy import halved, occupied_voxels, surface_voxels
from sam3d_ros.models.objects.part_store import Memory, PartStore
from sam3d_ros.models.objects.parts import Part
from sam3d_ros.models.objects.point_maps import SceneScale
from sam3d_ros.models.objects.pose import decode_pose
from sam3d_ros.models.objects.prediction import ObjectPrediction, mesh_of
from sam3d_ros.models.objects.sampling import OnStep, Schedule, draw_noise, sample
from sam3d_ros.models.objects.views import box_around, full_view, image_views, point_views

#: Called with the name of a stage and the share of the whole that is done, 0 to 1. What it raises ends the call.
Progress = Callable[[str, float], None]

#: What can be asked for beside the pose and the occupied voxels.
OUTPUTS = {"mesh": Part.MESH, "gaussians": Part.GAUSSIANS, "gaussians_4": Part.GAUSSIANS_4}

# Share of a call that is done when a stage begins.
_STAGES = {
    "geometry condition": 0.0,
    "geometry": 0.05,
    "structure": 0.45,
    "refinement condition": 0.5,
    "refinement": 0.55,
    "decoding": 0.85,
}


@dataclass(eq=False)
class Subject:
    """An object on its way through the stages."""

    mask: Tensor
    generator: torch.Generator
    more_poses: torch.Generator
    scene: SceneScale = field(default_factory=SceneScale.unit)
    point_views: dict[str, Tensor] = field(default_factory=dict)
    metric: bool = False
    condition: Tensor | None = None
    latents: Latents = field(default_factory=dict)
    coords: Tensor | None = None
    downsampling: int = 1
    refined: Tensor | None = None
    mesh: Mesh | None = None
    splats: dict[str, Splats] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class SAM3DObjects:
    """Reconstructs all masks of an image in one call.

    Args:
        parts: the networks.
        max_batch: objects that go through stage 1 together. Out of GPU memory, fewer are tried.
    """

    def __init__(self, parts: PartStore, *, max_batch: int = 4) -> None:
        self.parts = parts
        self.config = parts.config
        self.max_batch = max_batch

    @staticmethod
    def from_checkpoint(
        path: str | Path,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        *,
        memory: Memory = Memory.BALANCED,
        max_batch: int = 4,
    ) -> SAM3DObjects:
        """Take the networks of a folder of converted checkpoints.

        Args:
            path: the folder.
            device: where the networks run.
            dtype: of weights and activations; bfloat16 on a GPU and float32 elsewhere by default.
            memory: where networks stay while they are not used.
            max_batch: objects that go through stage 1 together.

        Raises:
            CheckpointError: the weights are missing or damaged.
        """
        device = torch.device(device)
        if dtype is None:
            dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        source = CheckpointSource(Path(path))
        return SAM3DObjects(PartStore(source, device=device, dtype=dtype, memory=memory), max_batch=max_batch)

    @torch.inference_mode()
    def __call__(
        self,
        image: NDArray[np.uint8],
        masks: NDArray[np.bool_] | NDArray[np.floating],
        points: NDArray[np.floating] | None = None,
        *,
        seed: int | None = None,
        geometry: Schedule | None = None,
        refinement: Schedule | None = None,
        hypotheses: int = 1,
        outputs: Collection[str] = ("mesh",),
        reuse: bool = True,
        progress: Progress | None = None,
    ) -> list[ObjectPrediction]:
        """Reconstruct.

        Args:
            image: (H, W, 3) RGB.
            masks: (N, H, W) bool, or floats from 0 to 1 with soft edges.
            points: (H, W, 3) metres, optical frame, NaN where unknown; without it poses are not metric.
            seed: the same seed gives the same objects on the same kind of device, whatever other masks are
                in the call; None draws one.
            geometry: schedule of stage 1; 25 steps with guidance by default, `Schedule.geometry_shortcut(4)`
                for a tenth of the time.
            refinement: schedule of stage 2, which is skipped where no output needs it; 25 steps by default.
            hypotheses: poses sampled for each object. They share its shape, so that more cost next to nothing.
            outputs: of `OUTPUTS`; without any, the pose and the occupied voxels alone are computed.
            reuse: compute what does not change between steps once. Off only to measure what it saves.
            progress: told about the progress.

        Returns:
            One object for each mask, in order.

        Raises:
            ValueError: an input has a wrong shape or type, a mask is empty or too small, or an output is unknown.
            torch.cuda.OutOfMemoryError: the GPU cannot hold even one object.
        """
        rgb, soft_masks, scene_points = self._checked(image, masks, points, hypotheses, outputs)
        if len(soft_masks) == 0:
            return []
        subjects = [self._subject(mask, scene_points, seed) for mask in soft_masks]
        run = _Run(subjects, progress or (lambda stage, share: None), reuse)
        with run.stage("geometry condition"):
            self._encode(Part.GEOMETRY_CONDITION, self.config.geometry_condition, rgb, subjects)
        with run.stage("geometry"):
            self._sample_geometry(run, geometry or Schedule.geometry(), hypotheses)
        with run.stage("structure"):
            self._decode_structure(subjects)
        solid = [subject for subject in subjects if subject.coords is not None and len(subject.coords)]
        if outputs and solid:
            with run.stage("refinement condition"):
                self._encode(Part.REFINEMENT_CONDITION, self.config.refinement_condition, rgb, solid)
            with run.stage("refinement"):
                self._sample_refinement(run, solid, refinement or Schedule.refinement())
            with run.stage("decoding"):
                for output in outputs:
                    self._decode(output, solid)
        measured = None if points is None else np.asarray(points)
        predictions = [self._finished(s, measured, hypotheses) for s in subjects]
        run.progress("decoding", 1.0)
        return predictions

    def _checked(
        self,
        image: NDArray[np.uint8],
        masks: NDArray[np.bool_] | NDArray[np.floating],
        points: NDArray[np.floating] | None,
        hypotheses: int,
        outputs: Collection[str],
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The inputs as (3, H, W), (N, 1, H, W) and (3, H, W), points in PyTorch3D's camera frame."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image is {image.dtype} {image.shape}: give (H, W, 3) uint8 RGB")
        size = image.shape[:2]
        if masks.ndim != 3 or masks.shape[1:] != size or masks.dtype.kind not in "bf":
            raise ValueError(
                f"masks are {masks.dtype} {masks.shape}: give (N, {size[0]}, {size[1]}) bool or float"
            )
        if points is not None and points.shape != image.shape:
            raise ValueError(
                f"points are {points.shape} but image is {image.shape}: publish both at one size"
            )
        if unknown := set(outputs) - OUTPUTS.keys():
            raise ValueError(f"outputs {sorted(unknown)} are unknown: choose of {sorted(OUTPUTS)}")
        if hypotheses < 1:
            raise ValueError(f"hypotheses is {hypotheses}: at least one is needed")
        device = self.parts.device
        rgb = torch.from_numpy(image / 255.0).float().permute(2, 0, 1).to(device)
        soft = torch.from_numpy(masks.astype(np.float32))[:, None].to(device)
        for number, mask in enumerate(soft):
            try:
                box_around(mask)
            except ValueError as error:
                raise ValueError(f"mask {number} of {len(soft)}: {error}") from error
        if points is None:
            return rgb, soft, None
        known = np.where(np.isfinite(points).all(axis=-1, keepdims=True), points, np.nan)
        return rgb, soft, torch.from_numpy(optical_from_pytorch3d(known)).float().permute(2, 0, 1).to(device)

    def _subject(self, mask: Tensor, points: Tensor | None, seed: int | None) -> Subject:
        device = self.parts.device
        seed = torch.seed() % 2**63 if seed is None else seed
        subject = Subject(
            mask, torch.Generator(device).manual_seed(seed), torch.Generator(device).manual_seed(seed + 1)
        )
        if points is not None:
            subject.metric = bool((points.isfinite().all(dim=0) & (mask[0] > 0.5)).any())
            size = self.config.geometry_condition.dino.input_size
            subject.point_views, subject.scene = point_views(points, mask, size)
        return subject

    def _encode(self, part: Part, config: ConditionConfig, rgb: Tensor, subjects: Sequence[Subject]) -> None:
        """Fill `condition`. The full view is the same for all masks and encoded once."""
        size = config.dino.input_size
        with self.parts.use(part) as module:
            encoder: ConditionEncoder = module
            streams = {stream.name: stream for stream in config.streams}
            shared = {n: encoder.encode(streams[n], view[None]) for n, view in full_view(rgb, size).items()}
            for group in _groups(subjects, self.max_batch):
                views = [image_views(rgb, subject.mask, size) for subject in group]
                if config.points:
                    views = [
                        {**view, **subject.point_views} for view, subject in zip(views, group, strict=True)
                    ]
                encoded = {
                    name: encoder.encode(streams[name], torch.stack([view[name] for view in views]))
                    for name in views[0]
                }
                for subject, condition in zip(group, encoder.join({**encoded, **shared}), strict=True):
                    subject.condition = condition[None]

    def _sample_geometry(self, run: _Run, schedule: Schedule, hypotheses: int) -> None:
        shapes = self.config.geometry.latent_shapes
        pose_shapes = {name: shapes[name] for name in POSE_CHANNELS}
        noises = []
        for subject in run.subjects:
            noise = draw_noise(shapes, subject.generator)
            for _ in range(hypotheses - 1):
                more = draw_noise(pose_shapes, subject.more_poses)
                noise.update({name: torch.cat([noise[name], x], dim=1) for name, x in more.items()})
            noises.append(noise)
        with self.parts.use(Part.GEOMETRY) as model:

            def run_group(chosen: slice) -> None:
                group = run.subjects[chosen]
                tokens = torch.cat([subject.condition for subject in group])
                noise = {name: torch.cat([n[name] for n in noises[chosen]]) for name in shapes}
                reuse = run.reuse and schedule.evaluations > 1
                flow = ConditionedFlow.of_geometry(model, tokens, reuse=reuse)
                done = sample(flow, noise, schedule, run.on_step("geometry", chosen.start, len(group)))
                for index, subject in enumerate(group):
                    subject.latents = {name: x[index] for name, x in done.items()}

            in_batches(len(run.subjects), self.max_batch, run_group)

    def _decode_structure(self, subjects: Sequence[Subject]) -> None:
        with self.parts.use(Part.STRUCTURE) as decoder:
            for subject in subjects:
                logits = decoder(subject.latents["shape"][None])[0, 0]
                coords = surface_voxels(occupied_voxels(logits.float()))
                subject.coords, subject.downsampling = halved(coords, subject.generator)

    def _sample_refinement(self, run: _Run, subjects: Sequence[Subject], schedule: Schedule) -> None:
        with self.parts.use(Part.REFINEMENT) as model:
            for number, subject in enumerate(subjects):
                voxels = VoxelSet(subject.coords)
                noise = draw_noise(
                    {VOXELS: (len(voxels), self.config.refinement.channels)}, subject.generator
                )
                reuse = run.reuse and schedule.evaluations > 1
                flow = ConditionedFlow.of_refinement(model, subject.condition, voxels, reuse=reuse)
                done = sample(flow, noise, schedule, run.on_step("refinement", number, 1, len(subjects)))
                subject.refined = self.config.refinement.destandardise(done[VOXELS][0])

    def _decode(self, output: str, subjects: Sequence[Subject]) -> None:
        with self.parts.use(OUTPUTS[output]) as decoder:
            for subject in subjects:
                decoded = decoder(subject.refined, VoxelSet(subject.coords))
                if output == "mesh":
                    subject.mesh = mesh_of(decoded)
                else:
                    subject.splats[output] = decoded

    def _finished(
        self, subject: Subject, points: NDArray[np.floating] | None, hypotheses: int
    ) -> ObjectPrediction:
        tokens = {name: subject.latents[name] for name in POSE_CHANNELS}
        poses = [
            decode_pose({name: x[k] for name, x in tokens.items()}, subject.scene, subject.downsampling)
            for k in range(hypotheses)
        ]
        resolution = self.config.structure.out_resolution
        assert subject.coords is not None
        voxels = subject.coords.int().cpu().numpy()
        found = [Hypothesis(pose.camera_from_object) for pose in poses]
        if points is not None:
            surface = (voxels + 0.5) / resolution - 0.5
            mask = subject.mask[0].cpu().numpy() > 0.5
            found = judged([h.camera_from_object for h in found], surface, 1 / resolution, points, mask)
        return ObjectPrediction(
            hypotheses=tuple(found),
            chosen=best(found),
            metric=subject.metric,
            voxels=voxels,
            resolution=resolution,
            mesh=subject.mesh,
            splats=subject.splats,
            seconds=subject.seconds,
        )


@dataclass(eq=False)
class _Run:
    """One call: its objects, and who is told how far it is."""

    subjects: Sequence[Subject]
    progress: Progress
    reuse: bool

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a stage and take its time."""
        self.progress(name, _STAGES[name])
        device = self.subjects[0].mask.device
        start = time.perf_counter()
        yield
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        each = (time.perf_counter() - start) / len(self.subjects)
        for subject in self.subjects:
            subject.seconds[name] = subject.seconds.get(name, 0.0) + each

    def on_step(self, stage: str, first: int, count: int, total: int | None = None) -> OnStep:
        """Progress within a stage, of objects `first` to `first + count` of `total`."""
        begin = _STAGES[stage]
        end = min(share for share in (*_STAGES.values(), 1.0) if share > begin)
        total = total or len(self.subjects)

        def report(step: int, steps: int) -> None:
            self.progress(stage, begin + (end - begin) * (first + count * step / steps) / total)

        return report


def _groups(items: Sequence[Subject], size: int) -> Iterator[Sequence[Subject]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def in_batches(count: int, size: int, run: Callable[[slice], None]) -> None:
    """Run over `count` items; where the GPU has too little memory, halve the size of the batches."""
    start = 0
    while start < count:
        try:
            run(slice(start, min(start + size, count)))
            start += size
            continue
        except torch.cuda.OutOfMemoryError:
            if size == 1:
                raise
        # Not in the handler: until it ends, the error holds on to what the failed batch had allocated.
        size = math.ceil(size / 2)
        torch.cuda.empty_cache()
