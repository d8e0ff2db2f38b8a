"""How much memory the networks take under each policy, and what happens where there is too little."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from gpu_tables import Table, wait_for

from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.predictor import SAM3DBody
from sam3d_ros.models.body.synthetic import random_network, random_rig
from sam3d_ros.models.devices import is_out_of_memory
from sam3d_ros.models.objects.benchmark import benchmark
from sam3d_ros.models.objects.part_store import Memory
from sam3d_ros.models.objects.parts import ObjectsConfig
from sam3d_ros.models.objects.sampling import Schedule

#: MiB that a robot's GPU has for pose and shape, and for everything, with `memory: low`.
POSE_BUDGET, WHOLE_BUDGET = 4096.0, 8192.0
_PEOPLE = 8
_MARGIN = 1.15
_MEBI = 2**20


def memory(table: Table, device: torch.device, tiny: bool) -> None:
    """The peak of a call under each policy: what PyTorch allocated on a GPU, what the process ever had elsewhere."""
    config = ObjectsConfig.tiny() if tiny else ObjectsConfig.released()
    for policy in (Memory.LOW, Memory.BALANCED, Memory.HIGH):
        for name, outputs, budget in (
            ("pose and shape", (), POSE_BUDGET),
            ("whole object", ("mesh", "gaussians"), WHOLE_BUDGET),
        ):
            _emptied(device)
            figures = benchmark(
                config,
                device=device,
                dtype=torch.bfloat16 if device.type == "cuda" else torch.float32,
                memory=policy,
                geometry=Schedule.geometry_shortcut(1),
                refinement=Schedule.refinement(1),
                voxels=300 if tiny else 27000,
                outputs=outputs,
                repeats=0,
            )
            peak = max(row.peak_mib for row in figures)
            table.add(f"object: {name}", policy.value, peak, budget if policy is Memory.LOW else None)
    for encoder in ("dinov3", "vith"):
        _emptied(device)
        predictor = _body(encoder, device, tiny, 1)
        table.add(f"body: {encoder}, one person", None, _peak(device, partial(_pose, predictor, 1)), None)
        del predictor


def drills(table: Table, device: torch.device, tiny: bool) -> None:
    """People beyond what memory holds are posed in smaller batches, and where not even one fits, the error says so."""
    predictor = _body("dinov3", device, tiny, _PEOPLE)
    one, all_ = (_peak(device, partial(_pose, predictor, count)) for count in (1, _PEOPLE))
    if one is None or all_ is None:
        table.note("Memory of the processor has no cap: nothing is drilled.")
        table.add("all at once", None, f"{len(_pose(predictor, _PEOPLE))} posed")
        return
    table.note(f"{_PEOPLE} people at once take {all_:.0f} MiB, one {one:.0f} MiB.")
    enough_for_one = one * _MARGIN + (all_ - one) / 4
    held = torch.cuda.memory_allocated(device) / _MEBI
    for name, cap in (("in smaller batches", enough_for_one), ("not even one", (held + one) / 2)):
        _emptied(device)
        _cap(device, cap)
        try:
            outcome = f"{len(_pose(predictor, _PEOPLE))} of {_PEOPLE} posed"
        except RuntimeError as error:
            named = "named as such" if is_out_of_memory(error) else "NOT named as such"
            outcome = f"{type(error).__name__}, {named}"
        table.add(name, cap, outcome)
    _cap(device, None)
    _emptied(device)
    table.add("afterwards, without a cap", None, f"{len(_pose(predictor, _PEOPLE))} of {_PEOPLE} posed")


def _body(encoder: str, device: torch.device, tiny: bool, max_batch: int) -> SAM3DBody:
    config = BodyConfig.tiny(encoder) if tiny else BodyConfig.released(encoder)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return SAM3DBody(random_network(config, device, dtype), random_rig(config, device), max_batch=max_batch)


def _pose(predictor: SAM3DBody, people: int) -> list[object]:
    image = np.zeros((720, 1280, 3), np.uint8)
    left = np.linspace(0, 1000, people)
    return list(predictor(image, np.stack([left, 0 * left + 40, left + 250, 0 * left + 680], axis=1)))


def _peak(device: torch.device, call: Callable[[], object]) -> float | None:
    """MiB that a call takes at most on a GPU, with all that is there; None elsewhere."""
    if device.type != "cuda":
        call()
        return None
    _emptied(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    wait_for(device)
    return torch.cuda.max_memory_allocated(device) / _MEBI


def _emptied(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _cap(device: torch.device, mebibytes: float | None) -> None:
    total = torch.cuda.get_device_properties(device).total_memory
    share = 1.0 if mebibytes is None else min(1.0, mebibytes * _MEBI / total)
    torch.cuda.set_per_process_memory_fraction(share, device)
