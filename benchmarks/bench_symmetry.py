"""Whether the symmetry groups of objects are right, and whether poses of turning objects flip.

`python benchmarks/bench_symmetry.py [--scenes 40] [--first-seed 1000] [--jobs N] [--frames 300]`

Groups: of the true meshes of simulated scenes, and of those that were reconstructed from one view and ACCEPTED. A group
is right when it has the motions that the shape was built with, no more and no fewer, each within 15 degrees of where it
truly is. Shapes whose sides nearly are alike may have both the smaller and the larger group; their number is printed. A
mug whose handle hardly shows is reconstructed without it; such mugs have a row of their own.

Turning: boxes, cylinders and bottles turn before a camera that stands still, about the vertical and about a level axis;
the largest step of the published rotation from one frame to the next, as it is, is told against the true step.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation
from simulated_views import CAMERA, View, add_seeds, answers, over_seeds, random_view

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.fitting.symmetry import symmetry_group
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.simulation.scenes import ROUND_LABELS, SceneObject
from sam3d_ros.simulation.turntable import turning_frames

#: Motions nearer to each other than this are one.
SAME = np.deg2rad(15.0)
#: Sides that differ by a share below the first are alike, above the second they are not, and between them may be.
ALIKE = (0.03, 0.15)
TURNING_LABELS = ("box", "cylinder", "bottle")
TURNING_AXES = {"vertical": (0.0, 0.0, 1.0), "level": (1.0, 0.0, 0.0)}
NOTHING = Rotation.identity(1)
#: A handle hardly shows when it has less than this share of the measured points.
HIDDEN_HANDLE, HANDLE_SHARE = "mug, handle hidden", 0.02


@dataclass(frozen=True)
class Found:
    """The group of one mesh.

    Attributes:
        label: class of the object.
        kind: "true" or "reconstructed" mesh.
        right: whether the group is.
        between: whether two groups may be right.
        milliseconds: that it took.
    """

    label: str
    kind: str
    right: bool
    between: bool
    milliseconds: float


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_seeds(parser, scenes=40)
    parser.set_defaults(first_seed=1000)
    parser.add_argument("--frames", type=int, default=300, help="of each turning object (default 300)")
    parser.add_argument("--step", type=float, default=3.0, help="degrees from frame to frame (default 3)")
    arguments = parser.parse_args()
    if arguments.scenes:
        print_groups(over_seeds(groups, arguments))
    if arguments.frames:
        print_turning(arguments.frames, np.deg2rad(arguments.step), arguments.first_seed)


def groups(seed: int) -> list[Found]:
    """The groups of the objects of one scene."""
    view = random_view(seed)
    poses = {number: view.pose(number) for number in view.things}
    found = [judged("true", thing, thing.mesh, poses[i], poses[i]) for i, thing in view.things.items()]
    for _, estimate in answers(view.frame):
        if estimate.verdict.state is VerdictState.ACCEPTED:
            number = estimate.instance_id
            pose, thing = estimate.camera_from_object, view.things[number]
            answer = judged("reconstructed", thing, estimate.mesh, pose, poses[number])
            found.append(replace(answer, label=HIDDEN_HANDLE) if hides_its_handle(view, thing) else answer)
    return found


def hides_its_handle(view: View, thing: SceneObject) -> bool:
    """Whether a thing is a mug whose handle hardly shows: for all that is seen it is round."""
    if thing.label != "mug":
        return False
    points = view.frame.point_map.at(view.frame.labels == thing.instance_id)
    x = view.pose(thing.instance_id).inverse().apply(points[np.isfinite(points[:, 2])])[:, 0]
    low, high = thing.mesh.bounds
    # The handle is at the far end of x; the body is as long along x as along y.
    beyond = low[0] + (high[1] - low[1]) * 1.1
    return bool(np.mean(x > beyond) < HANDLE_SHARE)


def judged(kind: str, thing: SceneObject, mesh: Mesh, pose: Similarity, true_pose: Similarity) -> Found:
    """The group of a mesh of a thing, compared in the optical frame."""
    start = time.perf_counter()
    group = symmetry_group(mesh, pose.scale)
    milliseconds = 1e3 * (time.perf_counter() - start)
    discrete = Rotation.from_matrix(
        [np.eye(3), *(pose.rotation @ g.rotation @ pose.rotation.T for g in group.discrete)]
    )
    axes = [pose.rotation @ symmetry.axis for symmetry in group.continuous]
    if thing.label in ROUND_LABELS:
        right = len(axes) == 1 and len(discrete) == (2 if thing.label == "cylinder" else 1)
        right = right and abs(float(axes[0] @ true_pose.rotation[:, 2])) > np.cos(SAME)
        return Found(thing.label, kind, right, False, milliseconds)
    own = Rotation.from_matrix(true_pose.rotation)
    options = [own * option * own.inv() for option in true_motions(thing)]
    right = not axes and any(are_same(discrete, option) for option in options)
    return Found(thing.label, kind, right, len(options) > 1, milliseconds)


def true_motions(thing: SceneObject) -> list[Rotation]:
    """The groups that a shape with edges may be said to have, in its own frame: of how its builder made it."""
    if thing.label == "l_shape":
        over = Rotation.from_rotvec(np.pi / np.sqrt(2.0) * np.array([1.0, 0.0, 1.0]))
        return chosen(thing.size[0], thing.size[2], NOTHING, Rotation.concatenate([NOTHING, over]))
    if thing.label == "tray":
        return chosen(thing.size[0], thing.size[1], Rotation.create_group("C2"), Rotation.create_group("C4"))
    if thing.label != "box":
        return [NOTHING]
    brick, squares = Rotation.create_group("D2"), [Rotation.create_group("D4", axis=axis) for axis in "ZYX"]
    options = [
        chosen(thing.size[i], thing.size[j], brick, square)
        for square, (i, j) in zip(squares, itertools.combinations(range(3), 2), strict=True)
    ]
    sure = [square for square, of_pair in zip(squares, options, strict=True) if brick not in of_pair]
    possible = [square for square, of_pair in zip(squares, options, strict=True) if square in of_pair]
    found = [brick] if not sure else []
    found += [square for square in possible if sure in ([], [square])]
    return [*found, Rotation.create_group("O")] if len(possible) > 1 else found


def chosen(first: float, second: float, smaller: Rotation, larger: Rotation) -> list[Rotation]:
    """The larger group for sides that are alike, the smaller for those that are not, both for those between."""
    difference = float(abs(first - second) / max(first, second))
    return [smaller] * (difference >= ALIKE[0]) + [larger] * (difference <= ALIKE[1])


def are_same(found: Rotation, expected: Rotation) -> bool:
    """Whether two sets of motions are the same."""
    apart = np.array([(found * motion.inv()).magnitude() for motion in expected])
    return len(found) == len(expected) and bool(
        (apart.min(axis=0) < SAME).all() and (apart.min(axis=1) < SAME).all()
    )


def print_groups(found: Sequence[Found]) -> None:
    """Share of right groups, by class and for all."""
    print("groups right, of all; in brackets how many may have two")
    print(f"{'class':18} {'true meshes':>24} {'reconstructed, ACCEPTED':>24}")
    labels = sorted({item.label for item in found})
    rows = {label: [label] for label in labels}
    rows |= {"all": labels, "all but hidden": [label for label in labels if label != HIDDEN_HANDLE]}
    for name, members in rows.items():
        cells = []
        for kind in ("true", "reconstructed"):
            those = [item for item in found if item.kind == kind and item.label in members]
            right, between = sum(item.right for item in those), sum(item.between for item in those)
            cells.append(f"{right} of {len(those)} = {right / max(1, len(those)):4.0%} ({between})")
        print(f"{name:18} {cells[0]:>24} {cells[1]:>24}")
    times = np.quantile([item.milliseconds for item in found], (0.5, 0.95))
    print(f"a mesh takes {times[0]:.1f} ms in the median, {times[1]:.1f} ms at most in 95 % of cases")


def print_turning(frames: int, step: float, seed: int) -> None:
    """The largest steps of objects that turn."""
    print(
        f"largest step of the published rotation over {frames} frames, true step {np.rad2deg(step):.1f} degrees"
    )
    for (name, axis), label in itertools.product(TURNING_AXES.items(), TURNING_LABELS):
        pipeline = ObjectPipeline(GeometricReconstructor())
        rotations, ids, version = [], set(), 0
        for frame in turning_frames(label, seed, CAMERA, count=frames, step=step, axis=axis):
            observation = pipeline.observe(frame)
            evidence = [request.evidence for request in observation.requests]
            if evidence:
                pipeline.integrate(evidence, pipeline.reconstruct(evidence))
                observation = pipeline.observe(frame)
            for tracked in observation.objects:
                ids.add(tracked.track_id)
                version = tracked.mesh_version
                rotations.append(tracked.fixed_from_object.rotation)
                group = tracked.estimate.symmetry
        turns = Rotation.from_matrix(rotations)
        steps = (turns[:-1].inv() * turns[1:]).magnitude()
        print(
            f"  {label:9} {name:9} {np.rad2deg(steps.max()):6.1f} degrees = {steps.max() / step:4.1f} steps, "
            f"{(steps > 3.0 * step).sum()} above 3; {len(group.continuous)} axes, {len(group.discrete)} motions; "
            f"{len(ids)} ids, {version} versions"
        )


if __name__ == "__main__":
    main()
