"""Whether networks are one graph, whether CUDA captures them, and what that and the compiler gain; and a profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from gpu_tables import Table, milliseconds
from torch import Tensor
from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiler

from sam3d_ros.models.body.branch import Branch, Reader, View
from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.crops import BODY_PADDING, Crops, crops_of_boxes
from sam3d_ros.models.body.keypoints import KEYPOINTS, RIGHT_HAND, KeypointReader
from sam3d_ros.models.body.network import BodyNetwork
from sam3d_ros.models.body.predictor import SAM3DBody
from sam3d_ros.models.body.synthetic import random_network, random_rig
from sam3d_ros.models.objects.benchmark import benchmark
from sam3d_ros.models.objects.part_store import Memory, PartStore, RandomSource
from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.objects.sampling import Schedule

_PEOPLE = 3
_TOP = 20
#: Condition tokens of an object in the released network.
_CONDITION = 7528


@dataclass(frozen=True, eq=False)
class Pass:
    """A network and what it is given.

    Attributes:
        name: of it.
        run: tensors in, a tensor out.
        given: the tensors.
        compiled: whether compiling it is worth its time here.
    """

    name: str
    run: Callable[..., Tensor]
    given: tuple[Tensor, ...]
    compiled: bool = False


def graphs(table: Table, device: torch.device, tiny: bool) -> None:
    """Each pass eagerly, as one captured graph, and compiled."""
    compiled: list[tuple[Pass, list[float | int | str | None]]] = []
    with torch.inference_mode():
        for one in _passes(device, tiny):
            eager = milliseconds(partial(one.run, *one.given), device)
            breaks = _breaks(one)
            captured, apart = _captured(one, device) if device.type == "cuda" else (None, None)
            table.add(one.name, breaks, eager, captured, None, apart)
            if one.compiled:
                compiled.append((one, table.rows[-1]))
        for one, row in compiled:
            torch._dynamo.reset()
            backend = "inductor" if device.type == "cuda" else "eager"
            run = torch.compile(one.run, backend=backend, dynamic=False)
            row[4] = milliseconds(partial(run, *one.given), device)
            table.save()
    if device.type != "cuda":
        table.note("Without CUDA nothing is captured, and the compiler only traces.")


def _breaks(one: Pass) -> int:
    torch._dynamo.reset()
    return torch._dynamo.explain(one.run)(*one.given).graph_break_count


def _captured(one: Pass, device: torch.device) -> tuple[float | str, float | None]:
    """Time of a replay, and how far it is from the eager answer, relative; or why there is none."""
    expected = one.run(*one.given)
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        one.run(*one.given)
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            answer = one.run(*one.given)
    except RuntimeError as error:
        return f"not captured: {str(error).splitlines()[0][:80]}", None
    taken = milliseconds(graph.replay, device)
    apart = (answer - expected).abs().max() / expected.abs().max()
    return taken, float(apart)


def _passes(device: torch.device, tiny: bool) -> Iterator[Pass]:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    for encoder in ("dinov3", "vith"):
        config = BodyConfig.tiny(encoder) if tiny else BodyConfig.released(encoder)
        network, rig = random_network(config, device, dtype), random_rig(config, device)
        crops = torch.rand(_PEOPLE, 3, config.crop_size, config.crop_size, device=device)
        yield Pass(f"{encoder} encoder", network.features, (crops,), compiled=encoder == "dinov3")
        if encoder == "vith":
            continue
        features = torch.randn(_PEOPLE, config.encoder.width, *config.grid, device=device)
        boxes = torch.tensor([[100.0, 50.0, 400.0, 650.0]], device=device).expand(_PEOPLE, 4)
        where = crops_of_boxes(boxes, BODY_PADDING, config.crop_size)
        K = torch.tensor([[1000.0, 0, 640], [0, 1000, 360], [0, 0, 1]], device=device).expand(_PEOPLE, 3, 3)
        for name, branch, rows in (
            ("body decoder", network.body, slice(0, KEYPOINTS)),
            ("hand decoder", network.hand, RIGHT_HAND),
        ):
            mapping = branch.head_pose.keypoint_mapping
            reader = Reader(rig.skeleton, KeypointReader(mapping, rig, rows).to(device))
            decoding = partial(_decoded, network, branch, reader)
            yield Pass(name, decoding, (features, where.centres, where.sides, where.crop_from_image, K))
    yield _geometry(device, dtype, tiny)


def _decoded(
    network: BodyNetwork,
    branch: Branch,
    reader: Reader,
    features: Tensor,
    centres: Tensor,
    sides: Tensor,
    matrix: Tensor,
    K: Tensor,
) -> Tensor:
    view = View(Crops(centres, sides, matrix, network.config.crop_size), K)
    return network.decode(branch, features, view, reader).estimate.keypoints


def _geometry(device: torch.device, dtype: torch.dtype, tiny: bool) -> Pass:
    """One evaluation of stage 1 of an object."""
    config = ObjectsConfig.tiny() if tiny else ObjectsConfig.released()
    store = PartStore(RandomSource(config), device=device, dtype=dtype, memory=Memory.LOW)
    with store.use(Part.GEOMETRY) as model:
        names = list(config.geometry.latent_shapes)
        latents = [torch.randn(1, *config.geometry.latent_shapes[name], device=device) for name in names]
        condition = torch.randn(1, 40 if tiny else _CONDITION, config.geometry.context_width, device=device)
        time, step = torch.full((1,), 250.0, device=device), torch.full((1,), 250.0, device=device)

        def evaluate(time: Tensor, step: Tensor, condition: Tensor, *latents: Tensor) -> Tensor:
            given = {name: value.to(dtype) for name, value in zip(names, latents, strict=True)}
            answer = model(given, time, step, condition.to(dtype))
            return answer["shape"].float()

        return Pass("geometry model, one evaluation", evaluate, (time, step, condition, *latents))


def profile(table: Table, device: torch.device, tiny: bool) -> None:
    """The kernels that take longest in calls of both networks."""
    _top(table, f"body, full, {_PEOPLE} people", _posing(device, tiny), device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    config = ObjectsConfig.tiny() if tiny else ObjectsConfig.released()

    def whole() -> object:
        return benchmark(
            config,
            device=device,
            dtype=dtype,
            memory=Memory.HIGH,
            geometry=Schedule.geometry_shortcut(4),
            refinement=Schedule.refinement(4),
            voxels=300 if tiny else 27000,
            repeats=0,
        )

    _top(table, "object, 4 + 4 steps", whole, device)


def _posing(device: torch.device, tiny: bool) -> Callable[[], object]:
    config = BodyConfig.tiny() if tiny else BodyConfig.released()
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    predictor = SAM3DBody(random_network(config, device, dtype), random_rig(config, device))
    image = np.zeros((720, 1280, 3), np.uint8)
    return lambda: predictor(image, [[100.0, 40.0, 400.0, 680.0]] * _PEOPLE)


def _top(table: Table, name: str, call: Callable[[], object], device: torch.device) -> None:
    call()
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profiler(activities=activities) as watched:
        call()
    events = watched.key_averages()
    taken = {
        event.key: (
            (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e3,
            event.count,
        )
        for event in events
    }
    total = sum(ms for ms, _ in taken.values()) or 1.0
    for key, (ms, count) in sorted(taken.items(), key=lambda item: -item[1][0])[:_TOP]:
        table.add(name, key[:100], count, ms, ms / total)
