"""How long each stage takes, how much it computes and how much memory it needs, with random weights."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sam3d_ros.models.objects.occupancy import surface_voxels
from sam3d_ros.models.objects.part_store import Memory, PartStore, RandomSource
from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.objects.predictor import SAM3DObjects
from sam3d_ros.models.objects.sampling import Schedule
from sam3d_ros.models.objects.subjects import Subject

_IMAGE_SIZE = (480, 640)
_FOCAL = 500.0


@dataclass(frozen=True)
class Figures:
    """One stage of a call.

    Attributes:
        stage: its name.
        milliseconds: median over the repeats.
        tflop: arithmetic of matrix products, convolutions and attention, 1e12 operations.
        peak_mib: largest memory up to the end of the stage: of the GPU during it, or of the process so far.
    """

    stage: str
    milliseconds: float
    tflop: float
    peak_mib: float


class _ShapedPredictor(SAM3DObjects):
    """Goes on with a ball of a given number of voxels, for random weights give no object."""

    def __init__(self, parts: PartStore, voxels: int, max_batch: int) -> None:
        super().__init__(parts, max_batch=max_batch)
        self._ball = ball(self.config.structure.out_resolution, voxels).to(parts.device)

    def _decode_structure(self, subjects: Sequence[Subject], then: Part | None) -> None:
        super()._decode_structure(subjects, then)
        for subject in subjects:
            subject.coords, subject.downsampling = self._ball, 1


def ball(resolution: int, voxels: int) -> Tensor:
    """(N, 3) surface voxels of the centred ball for which N is nearest to `voxels`."""
    axis = torch.arange(resolution) - (resolution - 1) / 2
    distance = torch.cartesian_prod(axis, axis, axis).norm(dim=1).view(resolution, resolution, resolution)
    shells = [
        surface_voxels(torch.nonzero(distance <= radius)) for radius in np.arange(1, resolution / 2, 0.5)
    ]
    return min(shells, key=lambda shell: abs(len(shell) - voxels))


class _Clock:
    """Listens to the progress of a call, and notes what each stage took."""

    def __init__(self, device: torch.device, counter: FlopCounterMode | None) -> None:
        self._device = device
        self._counter = counter
        self._stage = ""
        self._begin = 0.0
        self._flop = 0
        self.seconds: dict[str, float] = {}
        self.tflop: dict[str, float] = {}
        self.peak_mib: dict[str, float] = {}

    def __call__(self, stage: str, share: float) -> None:
        if stage == self._stage and share < 1:
            return
        now = time.perf_counter()
        flop = self._counter.get_total_flops() if self._counter else 0
        if self._stage:
            self.seconds[self._stage] = now - self._begin
            self.tflop[self._stage] = (flop - self._flop) / 1e12
            self.peak_mib[self._stage] = self._peak()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._stage, self._begin, self._flop = stage, now, flop

    def _peak(self) -> float:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def benchmark(
    config: ObjectsConfig,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    memory: Memory = Memory.BALANCED,
    masks: int = 1,
    max_batch: int = 4,
    geometry: Schedule | None = None,
    refinement: Schedule | None = None,
    voxels: int = 27000,
    hypotheses: int = 1,
    outputs: Collection[str] = ("mesh",),
    reuse: bool = True,
    repeats: int = 1,
) -> list[Figures]:
    """Time the predictor.

    Args:
        config: sizes of the networks; their weights are random.
        device: where they run.
        dtype: of weights and activations.
        memory: where networks stay between stages.
        masks: objects in the call.
        max_batch: objects that go through stage 1 together.
        geometry: schedule of stage 1.
        refinement: schedule of stage 2.
        voxels: of each object, about; a ball with a surface of so many stands for the decoded shape.
        hypotheses: poses of each object.
        outputs: what is decoded.
        reuse: compute what does not change between steps once.
        repeats: calls after the first, which counts the arithmetic. With 0 the first is timed, too.

    Returns:
        One for each stage, in order.
    """
    device = torch.device(device)
    parts = PartStore(RandomSource(config), device=device, dtype=dtype, memory=memory)
    predictor = _ShapedPredictor(parts, voxels, max_batch)
    image, mask_stack, points = _scene(masks)

    def call(counter: FlopCounterMode | None) -> _Clock:
        clock = _Clock(device, counter)
        predictor(
            image,
            mask_stack,
            points,
            seed=0,
            geometry=geometry,
            refinement=refinement,
            hypotheses=hypotheses,
            outputs=outputs,
            reuse=reuse,
            progress=clock,
        )
        return clock

    with FlopCounterMode(display=False) as counter:
        first = call(counter)
    clocks = [call(None) for _ in range(repeats)] or [first]
    return [
        Figures(
            stage,
            1e3 * statistics.median(clock.seconds[stage] for clock in clocks),
            first.tflop[stage],
            max(clock.peak_mib[stage] for clock in clocks),
        )
        for stage in first.seconds
    ]


def _scene(masks: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
    """Noise on a slanted plane, and square masks along the middle of the image."""
    height, width = _IMAGE_SIZE
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    v, u = np.mgrid[:height, :width]
    depth = 1.0 + 0.001 * u
    points = np.stack([(u - width / 2) / _FOCAL * depth, (v - height / 2) / _FOCAL * depth, depth], axis=-1)
    stack = np.zeros((masks, height, width), bool)
    side = min(height // 2, width // max(1, masks))
    for index in range(masks):
        left = index * width // masks
        stack[index, height // 4 : height // 4 + side, left : left + side] = True
    return image, stack, points.astype(np.float32)


def table(figures: Sequence[Figures]) -> str:
    """The figures as text, with their sum."""
    total = Figures(
        "all",
        sum(row.milliseconds for row in figures),
        sum(row.tflop for row in figures),
        max(row.peak_mib for row in figures),
    )
    lines = [f"{'stage':22}{'ms':>12}{'TFLOP':>10}{'TFLOP/s':>10}{'peak MiB':>10}"]
    for row in (*figures, total):
        rate = row.tflop / row.milliseconds * 1e3
        lines.append(
            f"{row.stage:22}{row.milliseconds:12.1f}{row.tflop:10.3f}{rate:10.2f}{row.peak_mib:10.0f}"
        )
    return "\n".join(lines)
