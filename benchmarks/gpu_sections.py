"""The sections of `gpu_report.py`, each in a process of its own: `gpu_sections.py NAME FILE DEVICE SIZE [TEST ...]`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from gpu_machine import machine, stand_in_for_missing_libraries
from gpu_tables import Table, milliseconds

ROOT = Path(__file__).resolve().parents[1]

#: Milliseconds that the arithmetic takes at 500 TFLOP/s, which an H100 reaches in large products.
BACKBONE_FLOORS = {"dinov3": 11.4, "vith": 6.4}
POSE_AND_SHAPE_FLOOR, WHOLE_FLOOR, LONG_FLOOR, FIVE_FLOOR = 74.0, 350.0, 1100.0, 2000.0
PEOPLE = 3


def parity(table: Table, device: str, dtype: str, tests: Sequence[str]) -> None:
    """Every parity test of the networks, there and in this precision."""
    assert table.path is not None
    found = table.path.with_suffix(".found.json")
    variables = {"SAM3D_PARITY_DEVICE": device, "SAM3D_PARITY_DTYPE": dtype, "SAM3D_PARITY_FILE": str(found)}
    files = [f"test/models/{name}" for name in tests] or ["test/models"]
    # Not the fixtures above: they need ROS, and the parity tests do not need them.
    options = ["-q", "-p", "parity_on_device", "-p", "no:cacheprovider", "--confcutdir=test/models"]
    command = [sys.executable, "-m", "pytest", *options, "--continue-on-collection-errors", *files]
    paths = os.pathsep.join(filter(None, [str(ROOT / "test"), os.environ.get("PYTHONPATH")]))
    subprocess.run(command, cwd=ROOT, env={**os.environ, **variables, "PYTHONPATH": paths})
    results = json.loads(found.read_text())
    for name, result in sorted(
        results.items(), key=lambda item: -((item[1]["worst"] or {}).get("relative") or 0)
    ):
        worst = result["worst"] or {}
        table.add(name, worst.get("relative"), worst.get("error"), worst.get("name"), result["outcome"])
    passed = sum(result["outcome"] == "passed" for result in results.values())
    table.note(
        f"{passed} of {len(results)} pass. Errors are the largest of a test, relative to the largest magnitude."
    )


def body(table: Table, device: torch.device, tiny: bool) -> None:
    """Three people: the encoder alone, and whole calls."""
    from sam3d_ros.models.body.benchmark import benchmark
    from sam3d_ros.models.body.config import BodyConfig
    from sam3d_ros.models.body.pipeline import Mode
    from sam3d_ros.models.body.synthetic import random_network

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    for encoder, floor in BACKBONE_FLOORS.items():
        config = BodyConfig.tiny(encoder) if tiny else BodyConfig.released(encoder)
        network = random_network(config, device, dtype)
        crops = torch.rand(PEOPLE, 3, config.crop_size, config.crop_size, device=device)
        with torch.inference_mode():
            taken = milliseconds(partial(network.features, crops), device)
        table.add(f"{encoder}, {PEOPLE} crops", taken, *_against(floor, taken, tiny), None)
        del network
        for mode in (Mode.BODY, Mode.FULL):
            figures = benchmark(config, device=device, dtype=dtype, people=PEOPLE, mode=mode, repeats=3)
            for row in figures:
                table.add(f"{encoder}, {mode.value}: {row.stage}", row.milliseconds, None, None, row.peak_mib)
            total = sum(row.milliseconds for row in figures)
            table.add(
                f"{encoder}, {mode.value}: all", total, None, None, max(row.peak_mib for row in figures)
            )


def objects(table: Table, device: torch.device, tiny: bool) -> None:
    """Whole objects by few and by many steps."""
    from sam3d_ros.models.objects.benchmark import benchmark
    from sam3d_ros.models.objects.part_store import Memory
    from sam3d_ros.models.objects.parts import ObjectsConfig
    from sam3d_ros.models.objects.sampling import Schedule

    config = ObjectsConfig.tiny() if tiny else ObjectsConfig.released()
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    few, many = Schedule.geometry_shortcut(4), Schedule.geometry(4 if tiny else 25)
    fine, finest = Schedule.refinement(2 if tiny else 12), Schedule.refinement(3 if tiny else 25)
    mesh: tuple[str, ...] = ("mesh",)
    for name, masks, geometry, refinement, outputs, floor in (
        ("pose and shape, 4 steps", 1, few, fine, (), POSE_AND_SHAPE_FLOOR),
        ("whole, 4 + 12 steps", 1, few, fine, mesh, WHOLE_FLOOR),
        ("five masks, 4 + 12 steps", 5, few, fine, mesh, FIVE_FLOOR),
        ("whole, 25 + 25 steps", 1, many, finest, mesh, LONG_FLOOR),
    ):
        figures = benchmark(
            config,
            device=device,
            dtype=dtype,
            memory=Memory.HIGH,
            masks=masks,
            geometry=geometry,
            refinement=refinement,
            voxels=300 if tiny else 27000,
            outputs=outputs,
            repeats=1 if tiny else 2,
        )
        total = sum(row.milliseconds for row in figures)
        table.add(name, total, *_against(floor, total, tiny), max(row.peak_mib for row in figures))
        for row in figures:
            table.add(f"{name}: {row.stage}", row.milliseconds, None, None, row.peak_mib)


def _against(floor: float, taken: float, tiny: bool) -> tuple[float | None, float | None]:
    """The floor, which is one of the released size, and how many times that was taken."""
    return (None, None) if tiny else (floor, taken / floor)


def main() -> None:
    name, path, device_name, size, *tests = sys.argv[1:]
    missing = stand_in_for_missing_libraries()
    device, tiny = torch.device(device_name), size == "tiny"
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())  # a cap on memory asks for the number
    from gpu_graphs import graphs, profile
    from gpu_memory import drills, memory

    floors = ("what", "ms", "floor, ms", "times the floor", "peak MiB")
    sections: dict[str, tuple[Sequence[str], Callable[[Table, torch.device, bool], None]]] = {
        "machine": (("", "value"), machine),
        "body": (floors, body),
        "objects": (floors, objects),
        "graphs": (("network", "breaks", "ms", "captured, ms", "compiled, ms", "apart"), graphs),
        "memory": (("what", "policy", "peak MiB", "budget, MiB"), memory),
        "drills": (("what", "cap, MiB", "outcome"), drills),
        "profile": (("what", "kernel", "calls", "ms", "share"), profile),
    }
    if name.startswith("parity-"):
        table = Table(("test", "relative error", "error", "of", "outcome"), Path(path))
        parity(table, device_name, name.removeprefix("parity-"), tests)
        return
    columns, measure = sections[name]
    table = Table(columns, Path(path))
    if missing and name == "machine":
        table.note(f"Without {', '.join(missing)}, which no network needs.")
    measure(table, device, tiny)


if __name__ == "__main__":
    main()
