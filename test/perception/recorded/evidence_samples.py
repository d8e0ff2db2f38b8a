"""Evidence and estimates of random bits, and what it means that they come back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.splats import Splats
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence, cut
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.symmetry_group import NO_SYMMETRY, ContinuousSymmetry, SymmetryGroup

LENSES = {
    "none": (),
    "plumb_bob": (-0.2, 0.05, 0.001, -0.001, 0.01),
    "rational_polynomial": (0.1, 0.02, 0.001, -0.002, 0.003, 0.1, 0.02, 0.001),
    "equidistant": (0.01, -0.02, 0.001, 0.0),
}


def any_floats(random: np.random.Generator, *shape: int) -> np.ndarray:
    """float32 of any bits: every NaN, both infinities, both zeros, numbers too small to be normal."""
    return random.integers(0, 2**32, shape, np.uint32).view(np.float32)


def random_pose(random: np.random.Generator, *, uniform: bool = False) -> Similarity:
    scale = random.uniform(0.01, 3.0, 1 if uniform else 3)
    return Similarity(Rotation.random(random_state=random).as_matrix(), random.normal(size=3), scale)


def random_piece(seed: int, width: int = 60, height: int = 40) -> Evidence:
    """One of some rectangles of labels, through some lens, with points of any bits."""
    random = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint16)
    for instance_id in (1, 900, 65535):
        top, left = random.integers(0, height - 1), random.integers(0, width - 1)
        labels[top : top + random.integers(1, height), left : left + random.integers(1, width)] = instance_id
    model = str(random.choice(list(LENSES)))
    camera = Camera(
        width,
        height,
        *(width * random.uniform(0.5, 2.0, 2)).tolist(),
        *random.uniform(0.0, height, 2).tolist(),
        distortion_model=model,
        distortion=LENSES[model],
    )
    frame = Frame(
        stamp=int(random.integers(0, 2**63)),
        frame_id="caméra \u2603",
        rgb=random.integers(0, 256, (height, width, 3), np.uint8),
        labels=labels,
        point_map=PointMap(any_floats(random, height, width, 3)),
        points_source=list(PointsSource)[seed % 3],
        camera=camera,
        label_names=MappingProxyType({65535: "cup", 900: "\x1b[2J", -3: "nobody"}),
        fixed_from_camera=random_pose(random, uniform=True) if random.random() < 0.5 else None,
        is_metric=bool(random.random() < 0.5),
    )
    return cut(frame)[-1]


def random_estimate(seed: int, *, splats: bool, vertices: int = 20, triangles: int = 30) -> ObjectEstimate:
    """No object at all; figures may be unknown."""
    random = np.random.default_rng(seed)

    def figure() -> float:
        return float(random.choice([math.nan, random.random()]))

    return ObjectEstimate(
        instance_id=int(random.integers(0, 2**16)),
        label="tasse \N{HOT BEVERAGE}",
        mesh=Mesh(
            vertices=random.uniform(-0.5, 0.5, (vertices, 3)).astype(np.float32),
            triangles=random.integers(0, max(vertices, 1), (triangles if vertices else 0, 3), np.uint32),
            colors=random.integers(0, 256, (vertices, 3), np.uint8),
        ),
        camera_from_object=random_pose(random),
        covariance=random.normal(size=(6, 6)),
        verdict=Verdict(
            state=list(VerdictState)[seed % 3],
            reasons=("too_few_points", "hidden_side_unknown")[: seed % 3],
            mask_iou=figure(),
            depth_residual=figure(),
            inlier_ratio=figure(),
            point_count=int(random.integers(0, 10**6)),
            scale_source=list(ScaleSource)[seed // 3 % 3],
            seen_share=figure(),
            size_sigma=(figure(), figure(), figure()),
        ),
        splats=Splats(*(any_floats(random, 11, columns) for columns in (3, 3, 3, 4, 1))) if splats else None,
        measured=random.random(vertices) < 0.5 if seed % 2 else None,
        symmetry=NO_SYMMETRY if seed % 3 == 0 else random_group(random),
    )


def random_group(random: np.random.Generator) -> SymmetryGroup:
    """No group at all, but of the right form."""
    axis = random.normal(size=3)
    return SymmetryGroup(
        (ContinuousSymmetry(axis / np.linalg.norm(axis), random.normal(size=3)),),
        tuple(random_pose(random).rigid() for _ in range(3)),
    )


def assert_same(found: Any, expected: Any, name: str = "it") -> None:
    """The same to the last bit, however deep: NaN of other bits and zeros of another sign are not the same."""
    if isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape), name
        assert found.tobytes() == expected.tobytes(), name
    elif isinstance(expected, PointMap):
        assert_same(found.points, expected.points, f"{name}.points")
    elif hasattr(expected, "__dataclass_fields__") and not isinstance(expected, Enum):
        assert type(found) is type(expected), name
        for field in fields(expected):
            if field.name not in ("_measurements", "boxes", "prompts"):
                assert_same(getattr(found, field.name), getattr(expected, field.name), f"{name}.{field.name}")
    elif isinstance(expected, tuple):
        assert len(found) == len(expected), name
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{name}[{index}]")
    elif isinstance(expected, float):
        assert np.float64(found).tobytes() == np.float64(expected).tobytes() or (found != found) & (
            expected != expected
        ), name
    elif isinstance(expected, Mapping):
        assert list(found.items()) == list(expected.items()), name
    else:
        assert type(found) is type(expected) and found == expected, (name, found, expected)
