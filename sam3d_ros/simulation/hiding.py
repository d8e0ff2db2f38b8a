"""Scenes in which things hide each other by a given share, and bars before things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.simulation import shapes
from sam3d_ros.simulation.paints import Plain
from sam3d_ros.simulation.scenes import (
    LABELS,
    Scene,
    SceneObject,
    footprint,
    moved,
    object_from_surface,
    overlap,
    random_object,
    random_scene,
)
from sam3d_ros.simulation.trajectories import random_viewpoint

Array = NDArray[np.float64]

#: Share of its silhouette that may be hidden of a thing that is to be looked at, at least and at most.
HIDDEN_SHARES = (0.3, 0.6)
#: Rays along the longer side of a silhouette: shares are right to about two percent.
_RAYS = 40
#: Places that are tried for what hides something.
_PLACES = 40
#: How far before a thing what hides it stands, and how far aside, metres.
_BEFORE, _ASIDE = (0.06, 0.30), 0.08
#: Of the way from the camera to a thing; a bar of this thickness, metres, stands there.
_BAR_PLACE, _BAR_THICKNESS = 0.75, 0.01
#: A bar is longer than the silhouette that it crosses.
_BAR_OVERHANG = 1.6


@dataclass(frozen=True, eq=False)
class HiddenScene:
    """A scene, a place to look at it from, and what is hidden there.

    Attributes:
        scene: the things that are hidden have the first ids; then come those that hide them.
        world_from_camera: pose of the optical frame.
        hidden: instance id -> share of its silhouette that others hide, of the former.
    """

    scene: Scene
    world_from_camera: Similarity
    hidden: Mapping[int, float]


def hidden_scene(
    seed: int,
    camera: Camera,
    *,
    count: int = 2,
    hidden: tuple[float, float] = HIDDEN_SHARES,
    viewpoints: int = 200,
) -> HiddenScene:
    """Things on a table, each behind another one that hides a part of it.

    Args:
        seed: of every choice.
        camera: the intrinsics; the things are in its image as a whole.
        count: how many things are hidden; as many again hide them.
        hidden: least and greatest share of a silhouette that is hidden.
        viewpoints: how many are tried.

    Raises:
        ValueError: no such arrangement was found.
    """
    base, rng = random_scene(seed, count), np.random.default_rng(seed)
    for _ in range(viewpoints):
        world_from_camera = random_viewpoint(rng)
        silhouettes = [Silhouette(thing, camera, world_from_camera) for thing in base.objects]
        objects = _with_things_before(base.objects, silhouettes, world_from_camera, rng, hidden)
        if objects is None:
            continue
        shares = {s.thing.instance_id: float(s.hidden_by(objects).mean()) for s in silhouettes}
        if all(hidden[0] <= share <= hidden[1] for share in shares.values()):
            return HiddenScene(replace(base, objects=objects), world_from_camera, shares)
    raise ValueError(
        f"none of {viewpoints} viewpoints lets {count} things hide {hidden[0]:.0%} to {hidden[1]:.0%} of others"
    )


class Silhouette:
    """What a thing would show of itself alone.

    Args:
        thing: the thing.
        camera: the intrinsics.
        world_from_camera: pose of the optical frame.

    Attributes:
        thing: as given.
        is_inside: whether the image holds all of it.
    """

    def __init__(self, thing: SceneObject, camera: Camera, world_from_camera: Similarity) -> None:
        self.thing = thing
        pixels = camera.project(
            world_from_camera.apply_inverse(thing.world_from_object.apply(thing.mesh.vertices))
        )
        self.is_inside = bool(camera.contains(pixels).all())
        low, high = np.nanmin(pixels, axis=0), np.nanmax(pixels, axis=0)
        step = float((high - low).max()) / _RAYS
        grid = np.stack(np.meshgrid(*(np.arange(a, b, step) for a, b in zip(low, high, strict=True))), -1)
        self._eye = world_from_camera.translation
        rays = world_from_camera.rotate(camera.rays_at(grid.reshape(-1, 2)))
        hits = RayScene([(thing.mesh, thing.world_from_object)]).cast(rays, self._eye)
        self._rays, self._distance = rays[hits.hit], hits.distance[hits.hit]

    def hidden_by(self, things: Sequence[SceneObject]) -> NDArray[np.bool_]:
        """(N,) which of its rays other things hide it from."""
        others = [(t.mesh, t.world_from_object) for t in things if t is not self.thing]
        return self.hidden_from(RayScene(others)) if others else np.zeros(len(self._rays), np.bool_)

    def hidden_from(self, others: RayScene, shift: Array | float = 0.0) -> NDArray[np.bool_]:
        """The same for other things that are moved by (3,) metres in the world."""
        return np.asarray(others.cast(self._rays, self._eye - shift).distance < self._distance)


def bar_before(
    thing: SceneObject, world_from_camera: Similarity, *, instance_id: int, share: float = 0.25
) -> SceneObject:
    """A bar that crosses the silhouette of a thing between it and the camera, and cuts it in two.

    Args:
        thing: what it crosses, along the shorter side of its picture.
        world_from_camera: pose of the optical frame.
        instance_id: of the bar; 0 = it is furniture that nobody labels.
        share: width of the bar, of the longer side.
    """
    seen = world_from_camera.apply_inverse(thing.world_from_object.apply(thing.mesh.vertices))
    plane = seen[:, :2] / seen[:, 2:3]
    low, high = plane.min(axis=0), plane.max(axis=0)
    depth = _BAR_PLACE * float(seen[:, 2].min())
    longer = int(np.argmax(high - low))
    size = np.zeros(3)
    size[longer] = share * (high - low)[longer] * depth
    size[1 - longer] = _BAR_OVERHANG * (high - low)[1 - longer] * depth
    size[2] = _BAR_THICKNESS
    bar = object_from_surface(shapes.box(size), Plain((0.2, 0.2, 0.22)), label="bar", instance_id=instance_id)
    middle = np.array([*(low + high) / 2.0 * depth, depth])
    camera_from_bar = Similarity(translation=middle - bar.world_from_object.translation)
    return moved(bar, world_from_camera @ camera_from_bar)


def _with_things_before(
    things: Sequence[SceneObject],
    silhouettes: Sequence[Silhouette],
    world_from_camera: Similarity,
    rng: np.random.Generator,
    hidden: tuple[float, float],
) -> tuple[SceneObject, ...] | None:
    """The things and one more before each; None where one would be hidden too little or too much."""
    objects = list(things)
    for silhouette in silhouettes:
        if not silhouette.is_inside:
            return None
        before = _placed_before(silhouette, objects, silhouettes, world_from_camera, rng, hidden)
        if before is None:
            return None
        objects.append(before)
    return tuple(objects)


def _placed_before(
    silhouette: Silhouette,
    objects: Sequence[SceneObject],
    silhouettes: Sequence[Silhouette],
    world_from_camera: Similarity,
    rng: np.random.Generator,
    hidden: tuple[float, float],
) -> SceneObject | None:
    """Something new between a thing and the camera that hides enough of it, and of no other one too much."""
    new = random_object(rng, str(rng.choice(LABELS)), len(objects) + 1)
    alone, covered = RayScene([(new.mesh, new.world_from_object)]), footprint(new)
    taken = [footprint(other) for other in objects]
    hidden_already = [s.hidden_by(objects) for s in silhouettes]
    # Small shares are more frequent: they would be nearly all.
    least = rng.uniform(hidden[0], (hidden[0] + 2.0 * hidden[1]) / 3.0)
    place = silhouette.thing.world_from_object.translation[:2]
    toward = world_from_camera.translation[:2] - place
    toward /= np.linalg.norm(toward)
    aside = np.array([-toward[1], toward[0]])
    for _ in range(_PLACES):
        shift = place + rng.uniform(*_BEFORE) * toward + rng.uniform(-_ASIDE, _ASIDE) * aside
        if any(overlap(covered + shift, other) for other in taken):
            continue
        lifted = np.array([*shift, 0.0])
        shares = [
            float((already | s.hidden_from(alone, lifted)).mean())
            for s, already in zip(silhouettes, hidden_already, strict=True)
        ]
        if max(shares) <= hidden[1] and shares[silhouettes.index(silhouette)] >= least:
            return moved(new, Similarity(translation=lifted))
    return None
