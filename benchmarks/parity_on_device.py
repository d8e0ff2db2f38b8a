"""A plugin of pytest that runs the parity tests of the networks on another device, and in another precision.

`SAM3D_PARITY_DEVICE=cuda SAM3D_PARITY_DTYPE=bfloat16 SAM3D_PARITY_FILE=found.json \\
    pytest -p parity_on_device test/models`

Parity data come to the device as they are read, and the largest error of every comparison is written to a file. In
float32 the tests keep their tolerances. In half precision weights and inputs of the object networks, and the encoder of
the body network, are rounded as they are in use, and nothing is asserted but that answers are finite.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from gpu_machine import stand_in_for_missing_libraries
from torch import Tensor

from sam3d_ros.models.devices import full_float32

_DEVICE = torch.device(os.environ.get("SAM3D_PARITY_DEVICE", "cpu"))
_DTYPE: torch.dtype = getattr(torch, os.environ.get("SAM3D_PARITY_DTYPE", "float32"))
_FILE = Path(os.environ.get("SAM3D_PARITY_FILE", "parity.json"))
_HALVED = _DTYPE is not torch.float32
# Inputs that stay exact in half precision: times, and what geometry needs.
_EXACT = ("out.", "in.t", "in.d", "in.points", "in.pointmap", "in.rgba", "in.verts", "in.sdf", "in.case")
# What tests ask for that compare with parity data.
_PARITY_FIXTURES = {"golden", "body_set", "tiny_body", "rig_of"}

_found: dict[str, dict[str, Any]] = {}
_now = ""

stand_in_for_missing_libraries()
_load_file = safetensors.torch.load_file
_numpy = Tensor.numpy


def _on_device(path: Any, *args: Any, **options: Any) -> dict[str, Tensor]:
    """What `load_file` reads, where the networks run; in half precision for the networks of objects."""
    folder = Path(path).parent
    halved = _HALVED and "objects" in folder.parts and (folder / "weights.safetensors").is_file()
    return {name: _placed(name, value, halved) for name, value in _load_file(path, *args, **options).items()}


def _placed(name: str, value: Tensor, halved: bool) -> Tensor:
    rounded = halved and value.dtype == torch.float32 and not name.startswith(_EXACT)
    return value.to(_DEVICE, _DTYPE if rounded else value.dtype)


safetensors.torch.load_file = _on_device  # type: ignore[assignment]
# Tests compare with NumPy, too, which reads the memory of the processor alone.
Tensor.numpy = lambda self, **options: _numpy(self.cpu(), **options)
torch.set_default_device(_DEVICE)


def _note(name: str, actual: Tensor, expected: Tensor) -> None:
    actual, expected = (x.detach().cpu().double() for x in (actual, expected))
    finite = expected.isfinite()
    magnitude = expected[finite].abs().max().item() if finite.any() else 0.0
    error = (actual - expected)[finite].abs().max().item() if finite.any() else 0.0
    worst = _found[_now]["worst"]
    relative = error / magnitude if magnitude else error
    if worst is None or not relative <= worst["relative"]:
        _found[_now]["worst"] = {"name": name, "relative": relative, "error": error}


def _watched(golden: Any) -> None:
    """Let `Golden.check` of the tests tell what it finds."""
    check = golden.check

    def told(self: Any, name: str, actual: Tensor, tolerance: float = 1e-4) -> None:
        expected = self.io[f"out.{name}"]
        if expected.is_floating_point() and actual.shape == expected.shape:
            _note(name, actual, expected)
            if _HALVED:
                return
        host = golden(self.config, {f"out.{name}": expected.cpu()}, {})
        check(host, name, actual.detach().cpu(), tolerance)

    golden.check = told


def _near(compare: Callable[[Tensor, Tensor, float], None]) -> Callable[[Tensor, Tensor, float], None]:
    def told(actual: Tensor, expected: Tensor, tolerance: float) -> None:
        if actual.shape == expected.shape:
            _note("", actual, expected)
            if _HALVED and actual.is_floating_point():
                return
        compare(actual.detach().cpu(), expected.detach().cpu(), tolerance)

    return told


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the parity tests, and listen to their comparisons."""
    parity = [item for item in items if _PARITY_FIXTURES & set(getattr(item, "fixturenames", ()))]
    parity = [item for item in parity if not item.get_closest_marker("hypothesis")]
    config.hook.pytest_deselected(items=[item for item in items if item not in parity])
    items[:] = parity
    for plugin in config.pluginmanager.get_plugins():
        if hasattr(plugin, "Golden"):
            _watched(plugin.Golden)
        if hasattr(plugin, "_assert_near"):
            plugin._assert_near = _near(plugin._assert_near)
        if hasattr(plugin, "build_network") and _HALVED:
            build = plugin.build_network
            plugin.build_network = lambda config, state, _dtype, build=build: build(config, state, _DTYPE)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Expect comparisons of a test, with products and convolutions in the float32 that the predictors run in."""
    global _now
    _now = pyfuncitem.nodeid.removeprefix("test/models/")
    _found[_now] = {"worst": None, "outcome": "passed"}
    with full_float32():
        return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what went wrong, if anything did."""
    name = report.nodeid.removeprefix("test/models/")
    if report.failed:
        told = _found.setdefault(name, {"worst": None})
        told["outcome"] = str(getattr(report.longrepr, "reprcrash", report.longrepr)).splitlines()[0][-160:]
    if report.when == "teardown":
        _FILE.write_text(json.dumps(_found))
