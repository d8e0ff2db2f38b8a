"""What would cost time on a GPU, seen without one: waits, copies, breaks in graphs, and the number of kernels."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sam3d_ros.models.body.branch import Reader, View
from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.crops import BODY_PADDING, crops_of_boxes, cut
from sam3d_ros.models.body.decoder import DecoderConfig
from sam3d_ros.models.body.dinov3 import DinoV3, DinoV3Config
from sam3d_ros.models.body.keypoints import KEYPOINTS, RIGHT_HAND, KeypointReader
from sam3d_ros.models.body.network import BodyNetwork
from sam3d_ros.models.body.pipeline import Mode, Pipeline, Scene
from sam3d_ros.models.body.projection import default_intrinsics
from sam3d_ros.models.body.rig import Rig
from sam3d_ros.models.body.synthetic import random_network, random_rig
from sam3d_ros.models.body.vit import VitConfig

# Operators whose result the processor must know, or that make a tensor from its memory.
_WAITS = (
    "_local_scalar_dense",
    "nonzero.default",
    "masked_select",
    "is_nonzero",
    "equal",
    "unique",
    "lift_fresh",
)
# Operators that start nothing on the device.
_FREE = ("view", "alias", "detach", "empty", "lift_fresh")


class _Watch(TorchDispatchMode):
    """Counts kernels, and notes what makes processor and device wait for each other."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Counter[str] = Counter()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if any(word in name for word in _WAITS) or _indexes_by_mask(name, args):
            self.waits.append(name)
        result = func(*args, **(kwargs or {}))
        if not func.is_view and not any(word in name for word in _FREE):
            self.kernels[name] += 1
        return result


class _Reads(TorchFunctionMode):
    """Notes where Python asks for the contents of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("tolist", "item", "cpu", "numpy", "__bool__", "__int__", "__float__", "__index__"):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


def _indexes_by_mask(name: str, args: Any) -> bool:
    return "index" in name and any(
        isinstance(leaf, Tensor) and leaf.dtype == torch.bool for leaf in tree_leaves(args[1:2])
    )


@pytest.fixture(scope="module")
def deep() -> BodyConfig:
    """As deep as the released network, and narrow."""
    return BodyConfig(
        DinoV3Config(width=32, depth=32, heads=2, hidden=64),
        None,
        DecoderConfig(width=40, context_width=32, depth=6, heads=4, head_width=8, hidden=48),
        BodyConfig.tiny().rig,
        64,
    )


@pytest.fixture(scope="module")
def deep_network(deep) -> tuple[BodyNetwork, Rig]:
    return random_network(deep), random_rig(deep)


def scene(people: int = 3, *, masks: bool = False) -> Scene:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (720, 1280, 3), dtype=torch.uint8, generator=generator)
    boxes = torch.tensor([[100.0, 40, 500, 700], [600, 40, 1000, 700], [200, 40, 900, 700]])[:people]
    given = torch.ones(people, 720, 1280, dtype=torch.uint8) if masks else None
    return Scene(image, boxes, default_intrinsics(1280, 720), given)


@pytest.mark.parametrize("masks", [False, True])
def test_the_processor_waits_for_hands_once_and_for_nothing_else(deep_network, masks):
    """Which hands are large enough to be looked at is the one thing that must be known on the way."""
    pipeline, people = Pipeline(*deep_network, wrist_turn=4.0), scene(masks=masks)
    for mode, reads in ((Mode.BODY, []), (Mode.HAND, []), (Mode.FULL, ["tolist"])):
        with _Reads() as asked, _Watch() as watch:
            pipeline(people, mode)
        assert watch.waits == [] and asked.names == reads


def test_constants_are_not_copied_to_the_device(deep):
    """On the meta device every tensor of a pass is there: one made on the processor would be refused or told apart."""
    network = random_network(deep)
    rig = random_rig(deep)
    seen: set[str] = set()

    class Devices(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            seen.update(
                f"{func}: {leaf.device.type}" for leaf in tensors if leaf.device.type != "meta" and leaf.ndim
            )
            return func(*args, **(kwargs or {}))

    keypoints = KeypointReader(network.body.head_pose.keypoint_mapping, rig)
    network, reader = network.to("meta"), Reader(rig.to("meta").skeleton, keypoints.to("meta"))
    crops = crops_of_boxes(torch.zeros(2, 4, device="meta"), BODY_PADDING, deep.crop_size)
    view = View(crops, torch.zeros(2, 3, 3, device="meta"))
    with Devices():
        pixels = cut(torch.zeros(80, 90, 3, dtype=torch.uint8, device="meta"), crops)
        features = network.without_masks(network.features(pixels.permute(0, 3, 1, 2).float()))
        first = network.decode(network.body, features, view, reader)
        network.decode(network.hand, features, view, reader)
        network.decode(
            network.body, features, view, reader, torch.zeros(2, 4, 3, device="meta"), first.estimate.code
        )
    assert not seen


def test_half_the_kernels(deep_network):
    """With joints computed level by level and fingers one by one there were 4,666 and 13,743."""
    pipeline = Pipeline(*deep_network, wrist_turn=4.0)
    for mode, most in ((Mode.BODY, 4666 // 2), (Mode.FULL, 13743 // 2)):
        with _Watch() as watch:
            pipeline(scene(), mode)
        assert watch.kernels.total() <= most, watch.kernels


def _breaks(function: Any, *args: Any) -> int:
    torch._dynamo.reset()
    return torch._dynamo.explain(function)(*args).graph_break_count


def test_encoders_are_one_graph():
    for build in (lambda: DinoV3(DinoV3Config.tiny()), lambda: BodyNetwork(BodyConfig.tiny("vith")).backbone):
        assert _breaks(build().eval().requires_grad_(False), torch.zeros(2, 3, 64, 48)) == 0


@pytest.mark.parametrize("hand", [False, True])
def test_a_decoder_is_one_graph(hand):
    config = BodyConfig.tiny()
    network, rig = random_network(config), random_rig(config)
    branch = network.hand if hand else network.body
    rows = RIGHT_HAND if hand else slice(0, KEYPOINTS)
    reader = Reader(rig.skeleton, KeypointReader(branch.head_pose.keypoint_mapping, rig, rows))
    crops = crops_of_boxes(torch.tensor([[10.0, 5, 50, 55], [20, 5, 60, 55]]), BODY_PADDING, config.crop_size)
    K = default_intrinsics(80, 60).expand(2, 3, 3)
    features = torch.randn(2, config.encoder.width, *config.grid)

    def decode(
        features: Tensor, centres: Tensor, sides: Tensor, matrix: Tensor, prompts: Tensor | None
    ) -> Tensor:
        view = View(type(crops)(centres, sides, matrix, crops.size), K)
        answer = network.decode(branch, features, view, reader, prompts)
        return answer.estimate.keypoints

    for prompts in (None, torch.zeros(2, 4, 3)):
        assert _breaks(decode, features, crops.centres, crops.sides, crops.crop_from_image, prompts) == 0


def test_float32_is_float32_on_a_gpu(deep):
    """PyTorch rounds convolutions of float32 to TF32 on a GPU unless told otherwise: there are none."""
    vith = BodyConfig(None, VitConfig.tiny(), DecoderConfig.tiny(), deep.rig, 64)
    for config in (BodyConfig.tiny(), vith):
        pipeline = Pipeline(random_network(config), random_rig(config), wrist_turn=4.0)
        with _Watch() as watch:
            pipeline(scene(masks=True))
        assert not [name for name in watch.kernels if "conv" in name]
