"""How long each stage takes, how much it computes and how much memory it needs, with random weights."""

from __future__ import annotations

import resource
import statistics

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.pipeline import Mode
from sam3d_ros.models.body.predictor import SAM3DBody
from sam3d_ros.models.body.synthetic import random_network, random_rig
from sam3d_ros.models.objects.benchmark import Figures

_IMAGE_SIZE = (720, 1280)


class _Counter:
    """Notes arithmetic and memory whenever a stage begins."""

    def __init__(self, device: torch.device, counter: FlopCounterMode) -> None:
        self._device, self._counter = device, counter
        self._stage, self._flop = "", 0
        self.tflop: dict[str, float] = {}
        self.peak_mib: dict[str, float] = {}

    def begin(self, stage: str, share: float = 1.0) -> None:
        flop = self._counter.get_total_flops()
        if self._stage:
            self.tflop[self._stage] = self.tflop.get(self._stage, 0.0) + (flop - self._flop) / 1e12
            self.peak_mib[self._stage] = self._peak()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._stage, self._flop = stage, flop

    def _peak(self) -> float:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def benchmark(
    config: BodyConfig,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    people: int = 1,
    mode: Mode = Mode.FULL,
    max_batch: int = 8,
    repeats: int = 1,
) -> list[Figures]:
    """Time the predictor.

    Args:
        config: sizes of the network and the rig; their weights are random.
        device: where they run.
        dtype: of the encoder.
        people: in the image.
        mode: what is looked at.
        max_batch: people that are posed together.
        repeats: calls after the first, which counts the arithmetic. With 0 the first is timed, too.

    Returns:
        One for each stage, in order.
    """
    device = torch.device(device)
    network, rig = random_network(config, device, dtype), random_rig(config, device)
    predictor = SAM3DBody(network, rig, max_batch=max_batch)
    height, width = _IMAGE_SIZE
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    left = np.linspace(0, width * 0.8, people)
    boxes = np.stack([left, 0 * left + 40, left + 0.2 * width, 0 * left + height - 40], axis=1)

    def call(counter: _Counter | None) -> dict[str, float]:
        told = None if counter is None else counter.begin
        total: dict[str, float] = {}
        for person in predictor(image, boxes, mode=mode, progress=told):
            for stage, seconds in person.seconds.items():
                total[stage] = total.get(stage, 0.0) + seconds
        return total

    with FlopCounterMode(display=False) as flops:
        counter = _Counter(device, flops)
        first = call(counter)
        counter.begin("")
    timings = [call(None) for _ in range(repeats)] or [first]
    return [
        Figures(
            stage,
            1e3 * statistics.median(timing[stage] for timing in timings),
            counter.tflop[stage],
            counter.peak_mib[stage],
        )
        for stage in first
    ]
