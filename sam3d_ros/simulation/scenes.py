"""Tabletop scenes: everyday things at rest on a table, with exact truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.simulation import shapes
from sam3d_ros.simulation.paints import Banded, Checked, Paint, Plain, Printed, Wood, srgb_from_hsv, textured

Array = NDArray[np.float64]

LABELS = ("box", "cylinder", "bottle", "bowl", "mug", "l_shape", "cup", "tray")
#: Classes that are surfaces of revolution about their z axis.
ROUND_LABELS = ("cylinder", "bottle", "bowl", "cup")

#: Free space between footprints, metres.
_CLEARANCE = 0.008
_TRIES_PER_OBJECT = 200
#: Length along x and depth along y of the table, metres.
TABLE_SIZE = (1.3, 0.9)
_TABLE_THICKNESS = 0.04
_TABLE_HEIGHT = 0.74


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One thing in a scene.

    Attributes:
        instance_id: value of its pixels in label images; 0 belongs to the furniture.
        label: class name.
        mesh: watertight, canonical: centred in the cube [-0.5, 0.5]^3 that it fills along its longest side, z up.
        world_from_object: canonical to world, metres; its scale is uniform.
        paint: colours, over metric points of the object's own frame `scale * canonical`.
        gloss: share of light that is mirrored, 0 to 1.
        is_round: whether a turn about the object's z axis changes nothing but its paint, so that no method can
            know it.
    """

    instance_id: int
    label: str
    mesh: Mesh
    world_from_object: Similarity
    paint: Paint
    gloss: float = 0.0
    is_round: bool = False

    @property
    def size(self) -> Array:
        """(3,) full lengths along the object's axes, metres."""
        low, high = self.mesh.bounds.astype(np.float64)
        return np.asarray((high - low) * self.world_from_object.scale)


@dataclass(frozen=True)
class Light:
    """A distant lamp and the light of the sky.

    Attributes:
        direction: unit vector towards the lamp, world frame.
        lamp: light on a surface that faces the lamp, 1 = as bright as white can be shown.
        sky: light on a surface that faces up, from everywhere above.
    """

    direction: tuple[float, float, float]
    lamp: float
    sky: float


@dataclass(frozen=True, eq=False)
class Scene:
    """Objects on a table. World frame: z up, the table's top is z = 0, its middle the origin; metres.

    Attributes:
        objects: what is to be reconstructed, ids from 1.
        furniture: table, floor, wall; instance 0.
        light: one lamp.
    """

    objects: tuple[SceneObject, ...]
    furniture: tuple[SceneObject, ...]
    light: Light

    @property
    def things(self) -> tuple[SceneObject, ...]:
        """All bodies: the objects and then the furniture; the order of `rays`."""
        return self.objects + self.furniture

    @cached_property
    def rays(self) -> RayScene:
        """All bodies in the world frame, ready for ray casting."""
        return RayScene([(thing.mesh, thing.world_from_object) for thing in self.things])

    @property
    def label_names(self) -> dict[int, str]:
        """Instance id -> class name."""
        return {thing.instance_id: thing.label for thing in self.objects}


def random_scene(seed: int, object_count: int = 5) -> Scene:
    """A table with things on it, the same for the same arguments; up to about 20 find room.

    Args:
        seed: of every choice.
        object_count: how many objects; they lie closer together the more there are.

    Raises:
        ValueError: the objects do not fit on the table.
    """
    rng = np.random.default_rng(seed)
    labels = _choose_labels(rng, object_count)
    # Room for each object, so that five stand in a quarter of a square metre and hide each other a little;
    # never so far out that one could overhang the table.
    reach = np.minimum(max(0.115 * np.sqrt(object_count), 0.12), (0.48, 0.28))
    objects: list[SceneObject] = []
    footprints: list[Array] = []
    for instance_id, label in enumerate(labels, start=1):
        for _ in range(_TRIES_PER_OBJECT):
            thing = random_object(rng, label, instance_id)
            place = Similarity(translation=np.array([*rng.uniform(-reach, reach), 0.0]))
            thing = moved(thing, place)
            covered = footprint(thing)
            if all(not overlap(covered, other) for other in footprints):
                objects.append(thing)
                footprints.append(covered)
                break
        else:
            raise ValueError(
                f"no room for object {instance_id} of {object_count} on the table: ask for fewer objects"
            )
    return Scene(tuple(objects), _furniture(rng), _light(rng))


def random_object(rng: np.random.Generator, label: str, instance_id: int) -> SceneObject:
    """A thing of a class of `LABELS` in random size, colour and heading, at rest on z = 0 around the origin."""
    surface, paint, rest = _BUILDERS[label](rng)
    heading = Rotation.from_euler("z", rng.uniform(0, 2 * np.pi))
    gloss = float(rng.choice([0.05, 0.15, 0.35]))
    thing = object_from_surface(
        surface, paint, label=label, instance_id=instance_id, gloss=gloss, is_round=label in ROUND_LABELS
    )
    turned = moved(thing, Similarity((heading * rest).as_matrix()))
    lowest = turned.world_from_object.apply(turned.mesh.vertices)[:, 2].min()
    return moved(turned, Similarity(translation=np.array([0.0, 0.0, -lowest])))


def object_from_surface(
    surface: shapes.Surface,
    paint: Paint,
    *,
    label: str,
    instance_id: int,
    gloss: float = 0.0,
    is_round: bool = False,
) -> SceneObject:
    """A thing of a metric surface, where it is, with its mesh in the canonical cube.

    Args:
        surface: vertices in metres and triangles.
        paint: colours over points of `surface`.
        label: class name.
        instance_id: its id.
        gloss, is_round: see `SceneObject`.
    """
    vertices, triangles = surface
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    center, scale = (low + high) / 2, float((high - low).max())
    canonical = np.clip((vertices - center) / scale, -0.5, 0.5).astype(np.float32)
    colors = np.clip(paint(vertices.astype(np.float32)), 0.0, 1.0)
    mesh = Mesh(canonical, triangles, np.rint(colors * 255).astype(np.uint8))
    pose = Similarity(translation=center, scale=np.full(3, scale))
    return SceneObject(instance_id, label, mesh, pose, _Shifted(paint, tuple(center)), gloss, is_round)


@dataclass(frozen=True)
class _Shifted:
    """A paint seen from a frame whose origin is elsewhere on the body."""

    paint: Paint
    origin: tuple[float, float, float]

    def __call__(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.paint(points + np.asarray(self.origin, np.float32))


def moved(thing: SceneObject, move: Similarity) -> SceneObject:
    """The thing after a motion of the world frame."""
    return replace(thing, world_from_object=move @ thing.world_from_object)


def _choose_labels(rng: np.random.Generator, count: int) -> list[str]:
    """Every class once before any comes again."""
    rounds = -(-count // len(LABELS))
    return [str(label) for _ in range(rounds) for label in rng.permutation(LABELS)][:count]


def _color(rng: np.random.Generator) -> tuple[float, float, float]:
    return srgb_from_hsv(rng.uniform(0, 360), rng.uniform(0.3, 0.75), rng.uniform(0.4, 0.85))


def _pale(rng: np.random.Generator) -> tuple[float, float, float]:
    return srgb_from_hsv(rng.uniform(20, 60), rng.uniform(0.0, 0.15), rng.uniform(0.8, 0.95))


_UPRIGHT = Rotation.identity()
_Built = tuple[shapes.Surface, Paint, Rotation]


def _lying(rng: np.random.Generator, chance: float) -> Rotation:
    return Rotation.from_euler("x", np.pi / 2) if rng.random() < chance else _UPRIGHT


def _box(rng: np.random.Generator) -> _Built:
    size = np.sort(rng.uniform((0.05, 0.06, 0.08), (0.09, 0.16, 0.24)))
    size = size[rng.permutation(3)]
    half = (size[0] / 2, size[1] / 2, size[2] / 2)
    ink = srgb_from_hsv(rng.uniform(0, 360), 0.7, 0.25)
    return shapes.box(size), Printed(_color(rng), _pale(rng), ink, half), _UPRIGHT


def _cylinder(rng: np.random.Generator) -> _Built:
    radius, height = rng.uniform(0.028, 0.055), rng.uniform(0.07, 0.18)
    label = Banded(Plain(_color(rng)), Plain(_pale(rng)), ((0.35 * height, 0.5 * height),))
    metal = Plain((0.72, 0.72, 0.74))
    paint = Banded(metal, label, ((0.06 * height, 0.94 * height),))
    return shapes.cylinder(radius, height), paint, _lying(rng, 0.2)


def _bottle(rng: np.random.Generator) -> _Built:
    radius, height = rng.uniform(0.028, 0.045), rng.uniform(0.18, 0.29)
    body = Banded(Plain(_color(rng)), Plain(_pale(rng)), ((0.18 * height, 0.48 * height),))
    body = Banded(body, Plain(_color(rng)), ((0.24 * height, 0.30 * height), (0.38 * height, 0.40 * height)))
    paint = Banded(body, Plain(_color(rng)), ((0.86 * height - 1e-4, 2 * height),))
    return shapes.bottle(radius, height, rng.uniform(0.011, 0.014)), paint, _lying(rng, 0.2)


def _bowl(rng: np.random.Generator) -> _Built:
    radius = rng.uniform(0.06, 0.11)
    height = radius * rng.uniform(0.55, 0.85)
    paint = Banded(Plain(_color(rng)), Plain(_pale(rng)), ((0.80 * height, 0.92 * height),))
    return shapes.bowl(radius, height, 0.006), paint, _UPRIGHT


def _mug(rng: np.random.Generator) -> _Built:
    radius, height = rng.uniform(0.036, 0.048), rng.uniform(0.08, 0.115)
    stripe = (0.62 * height, 0.70 * height), (0.74 * height, 0.77 * height)
    paint = Banded(Plain(_color(rng)), Plain(_pale(rng)), stripe)
    return shapes.mug(radius, height, 0.006), paint, _UPRIGHT


def _l_shape(rng: np.random.Generator) -> _Built:
    size = rng.uniform((0.10, 0.05, 0.09), (0.2, 0.09, 0.18))
    return shapes.l_shape(size, rng.uniform(0.025, 0.045)), Plain(_color(rng)), _UPRIGHT


def _cup(rng: np.random.Generator) -> _Built:
    height = rng.uniform(0.08, 0.14)
    paint = Banded(Plain(_pale(rng)), Plain(_color(rng)), ((0.3 * height, 0.55 * height),))
    return shapes.cup(rng.uniform(0.034, 0.046), height, 0.004), paint, _UPRIGHT


def _tray(rng: np.random.Generator) -> _Built:
    size = rng.uniform((0.12, 0.09, 0.04), (0.22, 0.16, 0.08))
    return shapes.tray(size, 0.006), Plain(_color(rng)), _UPRIGHT


_BUILDERS: dict[str, Callable[[np.random.Generator], _Built]] = {
    "box": _box,
    "cylinder": _cylinder,
    "bottle": _bottle,
    "bowl": _bowl,
    "mug": _mug,
    "l_shape": _l_shape,
    "cup": _cup,
    "tray": _tray,
}


def _furniture(rng: np.random.Generator) -> tuple[SceneObject, ...]:
    """Table, floor and, in two of three scenes, a wall behind."""
    grounds: list[Paint] = [
        Wood(srgb_from_hsv(rng.uniform(22, 36), rng.uniform(0.3, 0.55), rng.uniform(0.55, 0.85))),
        Plain(srgb_from_hsv(rng.uniform(0, 360), rng.uniform(0.0, 0.2), rng.uniform(0.6, 0.85)), 0.03),
        Checked(_pale(rng), srgb_from_hsv(rng.uniform(0, 360), 0.35, 0.75), 0.04),
    ]
    table_paint = grounds[rng.choice(3, p=[0.6, 0.25, 0.15])]
    floor_paint = Checked((0.52, 0.50, 0.48), (0.58, 0.56, 0.53), 0.4)
    wall_paint = Plain(
        srgb_from_hsv(rng.uniform(180, 420), rng.uniform(0.03, 0.16), rng.uniform(0.75, 0.92)), 0.01
    )
    table = _slab(
        "table", (*TABLE_SIZE, _TABLE_THICKNESS), (0.0, 0.0, -_TABLE_THICKNESS), table_paint, 0.0015
    )
    floor = _slab("floor", (6.0, 6.0, 0.02), (0.0, 0.0, -_TABLE_HEIGHT - 0.02), floor_paint, 0.02)
    if rng.random() < 1 / 3:
        return table, floor
    wall = _slab("wall", (6.0, 0.05, 2.6), (0.0, rng.uniform(0.55, 1.0), -_TABLE_HEIGHT), wall_paint, 0.02)
    return table, floor, wall


def _slab(
    label: str,
    size: tuple[float, float, float],
    base: tuple[float, float, float],
    paint: Paint,
    pixel: float,
) -> SceneObject:
    """A cuboid of two triangles a side, standing on `base`, with its paint kept as a picture."""
    x, y, z = size
    corners = np.array([[i, j, k] for i in (-x / 2, x / 2) for j in (-y / 2, y / 2) for k in (0.0, z)])
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.uint32)
    picture = textured(paint, corners.min(axis=0), corners.max(axis=0), pixel)
    thing = object_from_surface((corners, triangles), picture, label=label, instance_id=0)
    return moved(thing, Similarity(translation=np.array(base)))


def _light(rng: np.random.Generator) -> Light:
    # From the side where cameras stand: behind the table there may be a wall.
    elevation, azimuth = np.deg2rad(rng.uniform(40, 65)), np.deg2rad(rng.uniform(-170, -10))
    direction = (
        float(np.cos(elevation) * np.cos(azimuth)),
        float(np.cos(elevation) * np.sin(azimuth)),
        float(np.sin(elevation)),
    )
    return Light(direction, lamp=rng.uniform(0.7, 0.9), sky=rng.uniform(0.4, 0.55))


def footprint(thing: SceneObject) -> Array:
    """(N, 2) corners of the convex hull of the object seen from above, metres."""
    flat = thing.world_from_object.apply(thing.mesh.vertices)[:, :2]
    return np.asarray(flat[ConvexHull(flat).vertices])


def overlap(a: Array, b: Array) -> bool:
    """Whether two convex polygons are nearer than the clearance, by the separating axis theorem."""
    for polygon in (a, b):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
        gap = np.maximum((b @ normals.T).min(axis=0) - (a @ normals.T).max(axis=0), 0.0)
        gap = np.maximum(gap, (a @ normals.T).min(axis=0) - (b @ normals.T).max(axis=0))
        if (gap > _CLEARANCE).any():
            return False
    return True
