"""Where the checks of the scene should begin: false accusations against what they find, over their thresholds.

`python benchmarks/calibrate_scene.py [--scenes 60] [--first-seed S] [--jobs N]`

Simulated scenes are answered as the graph does it. The answers as they are should not be accused: neither the ACCEPTED
ones, nor any. Then one object at a time is made wrong, and the others are left alone:

- raised, lowered: its pose, against what the view shows, along the vertical; by a share of its size, as all below;
- pushed: its pose, so deep into its nearest neighbour;
- tilted: its pose, by so many degrees over an edge that it stands on;
- lifted: the thing itself, which is seen and answered anew in the air; held: so it is, with a pole that touches it, and
  should not be accused.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from simulated_views import View, add_seeds, answers, look, over_seeds

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import ObjectEstimate, VerdictState
from sam3d_ros.perception.evidence import Cut, Evidence
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface
from sam3d_ros.perception.judging.scene import (
    FLOATING,
    PENETRATES,
    UNSTABLE,
    SceneThresholds,
    scene_reasons,
)
from sam3d_ros.perception.judging.solids import SolidObject
from sam3d_ros.perception.surfaces.finding import find_surfaces
from sam3d_ros.perception.surfaces.keeping import SurfaceKeeper
from sam3d_ros.perception.surfaces.standing import places_over
from sam3d_ros.perception.surfaces.surface import SupportSurface
from sam3d_ros.simulation import shapes
from sam3d_ros.simulation.paints import Plain
from sam3d_ros.simulation.scenes import Scene, moved, object_from_surface, random_scene
from sam3d_ros.simulation.trajectories import random_viewpoint

Array = NDArray[np.float64]

BOUNDS = (0.01, 0.02, 0.03, 0.05, 0.08)
SHARES, HEIGHTS = (0.05, 0.1, 0.2), (0.1, 0.3)
ANGLES = (30.0, 45.0, 60.0)
#: Threshold -> the reason that it is for, and the faults that should be found by it.
TABLES = {
    "max_overlap": (PENETRATES, ("lowered", "pushed")),
    "max_gap": (FLOATING, ("raised", "lifted", "held")),
    "max_overhang": (UNSTABLE, ("tilted",)),
}
OBJECTS = 5
#: Edge and length of the pole that holds a thing, metres.
POLE = (0.012, 0.5)


@dataclass(frozen=True)
class Outcome:
    """What the scene says of an object that something was done to.

    Attributes:
        fault: what, and how much: "raised", 0.1; "honest", 0.
        accepted: whether nothing else speaks against it.
        accused: (threshold, bound) -> whether it is accused of what that is for.
    """

    fault: tuple[str, float]
    accepted: bool
    accused: dict[tuple[str, float], bool]


@dataclass(frozen=True, eq=False)
class Answered:
    """A view with its answers in the frame of the world, and the surfaces that are found in it."""

    solids: dict[int, SolidObject]
    accepted: frozenset[int]
    surfaces: Sequence[SupportSurface]

    @staticmethod
    def of(view: View) -> Answered:
        """Answer a view as the graph does."""
        pose = view.rendering.world_from_camera
        frame = replace(view.frame, fixed_from_camera=pose)
        cut, keeper = Cut(frame), SurfaceKeeper()
        keeper.update(find_surfaces(cut.overview, cut.label, keeper.config), pose, frame.stamp)
        made = [
            (piece, estimate)
            for piece, estimate in answers(frame)
            if estimate.verdict.state is not VerdictState.REJECTED
        ]
        accepted = frozenset(e.instance_id for _, e in made if e.verdict.state is VerdictState.ACCEPTED)
        return Answered(
            {estimate.instance_id: _solid(piece, estimate, pose) for piece, estimate in made},
            accepted,
            keeper.surfaces,
        )

    def outcome(self, solid: SolidObject, fault: str, amount: float = 0.0) -> Outcome:
        """What the scene says of an object in place of its answer."""
        places = places_over(solid.points, self.surfaces)
        others = [other for key, other in self.solids.items() if key != solid.object_id]
        accused = {}
        for name, (reason, faults) in TABLES.items():
            for bound in BOUNDS if fault in ("honest", *faults) else ():
                thresholds = replace(SceneThresholds(), **{name: bound})
                accused[name, bound] = reason in scene_reasons(solid, places, others, thresholds)
        return Outcome((fault, amount), solid.object_id in self.accepted, accused)


def _solid(piece: Evidence, estimate: ObjectEstimate, world_from_camera: Similarity) -> SolidObject:
    turn = world_from_camera.rotation
    return SolidObject(
        object_id=estimate.instance_id,
        mesh=estimate.mesh,
        fixed_from_object=world_from_camera @ estimate.camera_from_object,
        position_covariance=turn @ estimate.covariance[:3, :3] @ turn.T,
        size_sigma=float(np.nan_to_num(max(estimate.verdict.size_sigma))),
        doubt=0,
        evidence=piece,
    )


def outcomes(seed: int) -> list[Outcome]:
    """All of a scene."""
    scene, rng = random_scene(seed, OBJECTS), np.random.default_rng(seed)
    world_from_camera = random_viewpoint(rng)
    answered = Answered.of(look(scene, world_from_camera, rng))
    found = []
    for solid in answered.solids.values():
        found.append(answered.outcome(solid, "honest"))
        for fault, amount, motion in _faults(solid, answered, rng):
            wrong = replace(solid, fixed_from_object=motion @ solid.fixed_from_object)
            found.append(answered.outcome(wrong, fault, amount))
    for amount in HEIGHTS:
        for fault in ("lifted", "held"):
            instance = int(rng.integers(1, OBJECTS + 1))
            other = Answered.of(look(_in_the_air(scene, instance, amount, fault), world_from_camera, rng))
            if instance in other.solids:
                found.append(other.outcome(other.solids[instance], fault, amount))
    return found


def _faults(
    solid: SolidObject, answered: Answered, rng: np.random.Generator
) -> Iterator[tuple[str, float, Similarity]]:
    """What is done to a pose: name, amount, and the motion of the world that does it."""
    for share in SHARES:
        step = np.array([0.0, 0.0, share * solid.size])
        yield "raised", share, Similarity(translation=step)
        yield "lowered", share, Similarity(translation=-step)
    others = [other for other in answered.solids.values() if other is not solid]
    if others:
        way, gap = _way_to_nearest(solid, others)
        for share in SHARES:
            yield "pushed", share, Similarity(translation=(gap + share * solid.size) * way)
    for angle in ANGLES:
        heading = rng.uniform(0.0, 2.0 * np.pi)
        direction = np.array([np.cos(heading), np.sin(heading), 0.0])
        low = solid.points[solid.points[:, 2] < solid.box[0, 2] + 0.01 * solid.size]
        pivot = low[np.argmax(low @ direction)]
        axis = np.cross((0.0, 0.0, 1.0), direction)
        turn = Rotation.from_rotvec(np.deg2rad(angle) * axis).as_matrix()
        yield "tilted", angle, Similarity(turn, pivot - turn @ pivot)


def _way_to_nearest(solid: SolidObject, others: Sequence[SolidObject]) -> tuple[Array, float]:
    """Level unit direction to the nearest other object, and metres between both."""
    best, best_gap = np.array([1.0, 0.0, 0.0]), np.inf
    for other in others:
        nearest = VisibleSurface.of(other.mesh).closest(other.fixed_from_object, solid.points)
        way = nearest - solid.points
        gaps = np.linalg.norm(way, axis=1)
        at = int(np.argmin(gaps))
        if gaps[at] < best_gap:
            level = (other.centroid - solid.centroid) * (1.0, 1.0, 0.0)
            best, best_gap = level / np.linalg.norm(level), float(gaps[at])
    return best, best_gap


def _in_the_air(scene: Scene, instance: int, share: float, fault: str) -> Scene:
    """The scene with a thing above the table, by a share of its size, with a pole beside that holds it or without."""
    thing = next(thing for thing in scene.objects if thing.instance_id == instance)
    up = Similarity(translation=np.array([0.0, 0.0, share * float(np.linalg.norm(thing.size))]))
    lifted = moved(thing, up)
    objects = tuple(lifted if other is thing else other for other in scene.objects)
    if fault == "lifted":
        return replace(scene, objects=objects)
    points = lifted.world_from_object.apply(lifted.mesh.vertices)
    side = points[np.argmax(points[:, 0])]
    edge, length = POLE
    pole = object_from_surface(
        shapes.box((length, edge, edge)), Plain((0.4, 0.4, 0.4)), label="pole", instance_id=0
    )
    beside = Similarity(translation=side + np.array([length / 2.0, 0.0, -edge / 2.0]))
    return replace(scene, objects=objects, furniture=(*scene.furniture, moved(pole, beside)))


def report(found: Sequence[Outcome]) -> None:
    """One table for each threshold."""
    by_fault: dict[tuple[str, float], list[Outcome]] = defaultdict(list)
    for outcome in found:
        by_fault[outcome.fault].append(outcome)
    honest = by_fault["honest", 0.0]
    accepted = [outcome for outcome in honest if outcome.accepted]
    default = SceneThresholds()
    for name, (reason, faults) in TABLES.items():
        columns = [fault for fault in sorted(by_fault) if fault[0] in faults]
        print(f"\n{reason}, by {name} (default {getattr(default, name):g})")
        heads = " ".join(f"{fault:>7s} {amount:<5g}" for fault, amount in columns)
        print(f"{'bound':>6s} {'of ACCEPTED':>12s} {'of all':>12s} {heads}")
        for bound in BOUNDS:
            cells = [_count(outcomes, name, bound) for outcomes in (accepted, honest)]
            shares = [_share(by_fault[fault], name, bound) for fault in columns]
            print(f"{bound:6.2f} {cells[0]:>12s} {cells[1]:>12s} " + " ".join(f"{s:>13s}" for s in shares))


def _count(found: Sequence[Outcome], name: str, bound: float) -> str:
    return f"{sum(outcome.accused[name, bound] for outcome in found)} of {len(found)}"


def _share(found: Sequence[Outcome], name: str, bound: float) -> str:
    return f"{np.mean([outcome.accused[name, bound] for outcome in found]):.0%}" if found else "-"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_seeds(parser, scenes=60)
    report(over_seeds(outcomes, parser.parse_args()))


if __name__ == "__main__":
    main()
