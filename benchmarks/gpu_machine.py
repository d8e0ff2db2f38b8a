"""A bare machine with PyTorch: what it is, and how the package is imported there without libraries that it lacks."""

from __future__ import annotations

import importlib.util
import platform
import sys
import types
from functools import partial

import torch
from gpu_tables import Table, milliseconds

#: Libraries that rooms beside the networks import. Whatever would call one of them fails with its name.
_NOT_OF_NETWORKS = ("open3d", "fast_simplification", "trimesh")
_SIDE = 8192


def stand_in_for_missing_libraries() -> list[str]:
    """Let the package be imported without libraries that no network needs; the names of those that are missing."""
    missing = [name for name in _NOT_OF_NETWORKS if importlib.util.find_spec(name) is None]
    for name in missing:
        sys.modules[name] = types.ModuleType(name)
    return missing


def machine(table: Table, device: torch.device, tiny: bool) -> None:
    """What the figures were measured on, and what it can do at best."""
    table.add("processor", platform.machine())
    table.add("Python, PyTorch", f"{platform.python_version()}, {torch.__version__}")
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        table.add("GPU", properties.name)
        table.add("compute capability", f"{properties.major}.{properties.minor}")
        table.add("memory, GiB", properties.total_memory / 2**30)
        table.add("CUDA, cuDNN", f"{torch.version.cuda}, {torch.backends.cudnn.version()}")
    side = _SIDE // 64 if tiny else _SIDE
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        taken = milliseconds(partial(torch.matmul, a, b), device)
        table.add(
            f"product of matrices, {str(dtype).removeprefix('torch.')}, TFLOP/s", 2e-9 * side**3 / taken
        )
