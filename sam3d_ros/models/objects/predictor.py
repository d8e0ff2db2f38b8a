"""SAM 3D Objects over plain arrays: an image and masks in, objects with metric poses out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam3d_ros.models.batches import first_that_fits, in_batches
from sam3d_ros.models.devices import full_float32
from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.checkpoints import CheckpointSource
from sam3d_ros.models.objects.conditioning import ConditionConfig, ConditionEncoder
from sam3d_ros.models.objects.geometry_model import POSE_CHANNELS, Latents
from sam3d_ros.models.objects.guidance import VOXELS, ConditionedFlow
from sam3d_ros.models.objects.hypotheses import Hypothesis, best, judged
from sam3d_ros.models.objects.occupancy import halved, occupied_voxels, surface_voxels
from sam3d_ros.models.objects.part_store import Memory, PartStore
from sam3d_ros.models.objects.parts import Part
from sam3d_ros.models.objects.pose import decode_pose
from sam3d_ros.models.objects.prediction import ObjectPrediction, mesh_of
from sam3d_ros.models.objects.sampling import OnStep, Schedule, draw_lattice_noise, draw_noise, sample
from sam3d_ros.models.objects.subjects import Subject, checked_boxes, image_on, subjects_of
from sam3d_ros.models.objects.views import full_view, image_views

# Evaluations of a pose hypothesis from which on it is less arithmetic to project the condition for the pose once.
# With absorption one evaluation of a block takes 16 heads x 4 tokens x 4 width operations a token of the condition, and
# the projection of keys and values 4 width^2 altogether, at a width of 1024.
_ABSORBED_EVALUATIONS = 16

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


class SAM3DObjects:
    """Reconstructs all masks of an image in one call.

    Args:
        parts: the networks.
        max_batch: objects that go through a network together. Out of memory, fewer are tried.
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
            dtype: of weights and activations; bfloat16 on a GPU and float32 elsewhere by default. float16 is more exact
                there, as the official pipeline has it. First and last layers are in float32 in any case.
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
        lattice_noise: bool = False,
        reuse: bool = True,
        progress: Progress | None = None,
    ) -> list[ObjectPrediction]:
        """Reconstruct.

        Args:
            image: (H, W, 3) RGB.
            masks: (N, H, W) bool, or floats from 0 to 1 with soft edges.
            points: (H, W, 3) metres, optical frame, NaN where unknown; without it poses are not metric.
            seed: the same seed gives the same noise on the same kind of device, whatever other masks are in the call,
                and so the same objects but for rounding: a GPU may add in another order for another number of
                masks. Where that turns a voxel on or off, the noise of all voxels after it changes, unless
                `lattice_noise` is set. None draws a seed.
            geometry: schedule of stage 1; 25 steps with guidance by default, `Schedule.geometry_shortcut(4)`
                for a tenth of the time.
            refinement: schedule of stage 2, which is skipped where no output needs it; 25 steps by default.
            hypotheses: poses sampled for each object. They share its shape, so that more cost next to nothing.
            outputs: of `OUTPUTS`; without any, the pose and the occupied voxels alone are computed.
            lattice_noise: noise of stage 2 belongs to places, not to the voxels one after the other: objects that
                differ by few voxels are refined alike. The official sampler does not do so.
            reuse: compute what does not change between steps once. Off only to measure what it saves.
            progress: told about the progress.

        Returns:
            One object for each mask, in order.

        Raises:
            ValueError: an input has a wrong shape or type, a mask is empty or too small, or an output is unknown.
            RuntimeError: the device cannot hold even one object; see `devices.is_out_of_memory`.
        """
        if unknown := set(outputs) - OUTPUTS.keys():
            raise ValueError(f"outputs {sorted(unknown)} are unknown: choose of {sorted(OUTPUTS)}")
        if hypotheses < 1:
            raise ValueError(f"hypotheses is {hypotheses}: at least one is needed")
        boxes = checked_boxes(image, masks, points)
        if not boxes:
            return []
        with full_float32():
            rgb = image_on(self.parts.device, image)
            size = self.config.geometry_condition.dino.input_size
            subjects = subjects_of(masks, points, boxes, size=size, seed=seed, device=self.parts.device)
            run = _Run(subjects, progress or (lambda stage, share: None), reuse, lattice_noise)
            self._run(
                run,
                rgb,
                geometry or Schedule.geometry(),
                refinement or Schedule.refinement(),
                hypotheses,
                outputs,
            )
        measured = None if points is None else np.asarray(points)
        predictions = [self._finished(s, measured, hypotheses) for s in subjects]
        run.progress("decoding", 1.0)
        return predictions

    def _run(
        self,
        run: _Run,
        rgb: Tensor,
        geometry: Schedule,
        refinement: Schedule,
        hypotheses: int,
        outputs: Collection[str],
    ) -> None:
        subjects = run.subjects
        decoders = [OUTPUTS[output] for output in outputs]
        with run.stage("geometry condition"):
            self._encode(
                Part.GEOMETRY_CONDITION, self.config.geometry_condition, rgb, subjects, Part.GEOMETRY
            )
        with run.stage("geometry"):
            self._sample_geometry(run, geometry, hypotheses)
        with run.stage("structure"):
            self._decode_structure(subjects, Part.REFINEMENT_CONDITION if decoders else None)
        solid = [subject for subject in subjects if subject.coords is not None and len(subject.coords)]
        if not outputs or not solid:
            return
        with run.stage("refinement condition"):
            self._encode(
                Part.REFINEMENT_CONDITION, self.config.refinement_condition, rgb, solid, Part.REFINEMENT
            )
        with run.stage("refinement"):
            self._sample_refinement(run, solid, refinement, decoders[0])
        with run.stage("decoding"):
            for output, then in zip(outputs, [*decoders[1:], None], strict=True):
                self._decode(output, solid, then)

    def _encode(
        self, part: Part, config: ConditionConfig, rgb: Tensor, subjects: Sequence[Subject], then: Part
    ) -> None:
        """Fill `condition`. The full view is the same for all masks and encoded once."""
        size = config.dino.input_size
        with self.parts.use(part, then=then) as module:
            encoder: ConditionEncoder = module
            streams = {stream.name: stream for stream in config.streams}
            shared = {n: encoder.encode(streams[n], view[None]) for n, view in full_view(rgb, size).items()}

            def run_group(chosen: slice) -> None:
                group = subjects[chosen]
                views = [image_views(rgb, subject.mask, size, subject.box) for subject in group]
                if config.points:
                    views = [
                        {**view, **subject.point_views} for view, subject in zip(views, group, strict=True)
                    ]
                encoded = {
                    name: encoder.encode(streams[name], torch.stack([view[name] for view in views]))
                    for name in views[0]
                }
                context = encoder.context({**encoded, **shared})
                for index, subject in enumerate(group):
                    subject.condition = Context(context.own[index : index + 1], context.shared)

            in_batches(len(subjects), self.max_batch, run_group)

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
        evaluations = schedule.steps * hypotheses
        absorb = self.parts.device.type != "cpu" or evaluations <= _ABSORBED_EVALUATIONS
        with self.parts.use(Part.GEOMETRY, then=Part.STRUCTURE) as model:

            def run_group(chosen: slice) -> None:
                group = run.subjects[chosen]
                noise = {name: torch.cat([n[name] for n in noises[chosen]]) for name in shapes}
                reuse = run.reuse and schedule.evaluations > 1
                on_step = run.on_step("geometry", chosen.start, len(group))
                condition = _stacked(group)

                def drawn(stacked: bool | None) -> Latents:
                    flow = ConditionedFlow.of_geometry(
                        model, condition, reuse=reuse, absorb=absorb, stacked=stacked
                    )
                    return sample(flow, noise, schedule, on_step)

                # A batch that does not fit is halved; a single object can still take its two velocities in turn.
                one_by_one = [partial(drawn, None), partial(drawn, False)]
                done = first_that_fits(one_by_one if len(group) == 1 else one_by_one[:1])
                for index, subject in enumerate(group):
                    subject.latents = {name: x[index] for name, x in done.items()}

            in_batches(len(run.subjects), self.max_batch, run_group)

    def _decode_structure(self, subjects: Sequence[Subject], then: Part | None) -> None:
        with self.parts.use(Part.STRUCTURE, then=then) as decoder:
            for subject in subjects:
                logits = decoder(subject.latents["shape"][None])[0, 0]
                coords = surface_voxels(occupied_voxels(logits.float()))
                subject.coords, subject.downsampling = halved(coords, subject.generator)

    def _sample_refinement(
        self, run: _Run, subjects: Sequence[Subject], schedule: Schedule, then: Part
    ) -> None:
        config = self.config.refinement
        reuse = run.reuse and schedule.evaluations > 1
        with self.parts.use(Part.REFINEMENT, then=then) as model:
            for number, subject in enumerate(subjects):
                voxels = VoxelSet(subject.coords)
                if run.lattice_noise:
                    side = self.config.structure.out_resolution
                    drawn = draw_lattice_noise(voxels.coords, side, config.channels, subject.generator)
                    noise = {VOXELS: drawn}
                else:
                    noise = draw_noise({VOXELS: (len(voxels), config.channels)}, subject.generator)
                on_step = run.on_step("refinement", number, 1, len(subjects))

                def refined(
                    stacked: bool | None,
                    condition: Context = subject.known_condition,
                    voxels: VoxelSet = voxels,
                    noise: Latents = noise,
                    on_step: OnStep = on_step,
                ) -> Tensor:
                    flow = ConditionedFlow.of_refinement(
                        model, condition, voxels, reuse=reuse, stacked=stacked
                    )
                    return sample(flow, noise, schedule, on_step)[VOXELS][0]

                subject.refined = config.destandardise(
                    first_that_fits([partial(refined, None), partial(refined, False)])
                )

    def _decode(self, output: str, subjects: Sequence[Subject], then: Part | None) -> None:
        with self.parts.use(OUTPUTS[output], then=then) as decoder:
            for subject in subjects:
                decoded = decoder(subject.refined, VoxelSet(subject.coords))
                if output == "mesh":
                    subject.mesh = mesh_of(decoded)
                else:
                    subject.splats[output] = decoded.arrays()

    def _finished(
        self, subject: Subject, points: NDArray[np.floating] | None, hypotheses: int
    ) -> ObjectPrediction:
        tokens = {name: subject.latents[name] for name in POSE_CHANNELS}
        poses = [
            decode_pose(
                {name: x[k] for name, x in tokens.items()},
                subject.scene,
                subject.downsampling,
                self.config.geometry.rotation,
            )
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
    lattice_noise: bool

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


def _stacked(subjects: Sequence[Subject]) -> Context:
    """The conditions of several objects of one image as one."""
    contexts = [subject.known_condition for subject in subjects]
    return Context(torch.cat([context.own for context in contexts]), contexts[0].shared)
