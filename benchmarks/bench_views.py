"""What several views of one thing are worth: a camera that goes around simulated tables.

`python benchmarks/bench_views.py [--scenes 20] [--first-seed 0] [--jobs 1] [--views 1 2 3 6]`

Things rest on a table without a wall; the camera looks at it from six directions of a full turn, from a height of 25 to
50 degrees. Each thing is reconstructed, refined and judged in the first view with as many others as a row says, as the
graph does it with the views that it remembers. Opposite directions come first.

- surface: symmetric distance to the surface of the true mesh, as a share of its diameter (ADD-SB);
- seen: the share of the surface that is said to be measured. What a thing stands on is never seen: `without base` is
  seen as a share of what does not lie on the table, by the true mesh;
- milliseconds: of processor time for one new version with all its views, from evidence to verdict.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from field_measures import FieldMeasures, print_field_measures
from running_graph import machine
from simulated_views import View, add_seeds, look, over_seeds

from sam3d_ros.geometry.surfaces import transformed
from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.evidence import Evidence, PosedView, cut
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.judging.appraisal import appraised
from sam3d_ros.simulation.scenes import SceneObject, random_scene
from sam3d_ros.simulation.trajectories import viewpoint

OBJECTS = 5
#: Sixths of a turn, opposite ones first.
DIRECTIONS = (0, 3, 1, 4, 2, 5)
#: Metres from the camera to the middle of the table, and degrees above it.
DISTANCES, ELEVATIONS = (0.7, 1.1), (25.0, 50.0)
#: Triangles lower than this above the table, metres, that face down are what a thing stands on.
_ON_TABLE = 1e-3


@dataclass(frozen=True)
class Row:
    """One thing, made of some views."""

    label: str
    views: int
    field: FieldMeasures
    seen: float
    visible: float
    milliseconds: float
    state: VerdictState


def orbit(seed: int) -> list[View]:
    """A scene without its wall, from all around."""
    scene, rng = random_scene(seed, OBJECTS), np.random.default_rng(seed)
    scene = replace(scene, furniture=tuple(thing for thing in scene.furniture if thing.label != "wall"))
    start, distance = rng.uniform(-60.0, 60.0), rng.uniform(*DISTANCES)
    elevation = np.deg2rad(rng.uniform(*ELEVATIONS))
    return [
        look(scene, viewpoint(distance, np.deg2rad(start + 60.0 * turn), elevation), rng)
        for turn in DIRECTIONS
    ]


def evidence_of(views: Sequence[View]) -> list[Evidence]:
    """What the first view tells of each thing, with what the others tell of it."""
    first, *others = views
    camera_from_world = first.rendering.world_from_camera.inverse()
    found = {piece.instance_id: piece for piece in cut(first.frame)}
    for view in others:
        camera_from_view = camera_from_world @ view.rendering.world_from_camera
        for piece in cut(view.frame):
            if known := found.get(piece.instance_id):
                other = PosedView(piece, camera_from_view)
                found[piece.instance_id] = replace(known, others=(*known.others, other))
    return list(found.values())


def share_above_table(thing: SceneObject) -> float:
    """Share of the surface of a thing, by area, that does not lie on the table."""
    vertices = thing.world_from_object.apply(thing.mesh.vertices)
    corners = vertices[thing.mesh.triangles.astype(np.intp)]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    on_table = corners[..., 2].max(axis=1) < _ON_TABLE
    return 1.0 - float(area[on_table].sum() / area.sum())


def rows_of(seed: int, counts: Sequence[int]) -> list[Row]:
    """Every thing of a scene, made of each number of views."""
    views = orbit(seed)
    truths = {i: transformed(thing.mesh, views[0].pose(i)) for i, thing in views[0].things.items()}
    rows = []
    for count in counts:
        for piece in evidence_of(views[:count]):
            began = time.thread_time()
            (made,) = GeometricReconstructor().reconstruct([piece])
            estimate = appraised(piece, made, metric=True)
            rows.append(
                Row(
                    label=piece.label,
                    views=count,
                    milliseconds=1e3 * (time.thread_time() - began),
                    field=FieldMeasures.of(estimate, truths[piece.instance_id]),
                    seen=estimate.verdict.seen_share,
                    visible=share_above_table(views[0].things[piece.instance_id]),
                    state=estimate.verdict.state,
                )
            )
    return rows


class _Scene:
    """`rows_of` a seed, for other processes."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = counts

    def __call__(self, seed: int) -> list[Row]:
        return rows_of(seed, self.counts)


def print_rows(rows: Sequence[Row], counts: Sequence[int]) -> None:
    """A line for each number of views."""
    single = np.mean([row.field.add_sb for row in rows if row.views == counts[0]])
    print(
        f"\n{'views':>5s} {'things':>6s} {'ACCEPTED':>8s} {'surface':>8s} {'of first':>8s} {'seen':>6s} "
        f"{'without base':>12s} {'ms':>6s} {'95 %':>6s}"
    )
    for count in counts:
        some = [row for row in rows if row.views == count]
        surface = float(np.mean([row.field.add_sb for row in some]))
        seen = np.array([row.seen for row in some])
        without_base = seen / np.array([row.visible for row in some])
        times = [row.milliseconds for row in some]
        accepted = sum(row.state is VerdictState.ACCEPTED for row in some)
        print(
            f"{count:5d} {len(some):6d} {accepted:8d} {surface:8.4f} {surface / single:8.0%} {seen.mean():6.2f} "
            f"{without_base.mean():12.2f} {np.median(times):6.0f} {np.percentile(times, 95):6.0f}"
        )
    for label in sorted({row.label for row in rows}):
        means = []
        for count in counts:
            some = [row for row in rows if row.label == label and row.views == count]
            means.append(
                f"{np.mean([r.field.add_sb for r in some]):.4f} {np.mean([r.seen for r in some]):.2f}"
            )
        print(f"{label:10s} surface and seen with {', '.join(map(str, counts))} views: {'; '.join(means)}")
    print_field_measures({f"{n} views": [row.field for row in rows if row.views == n] for n in counts})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_seeds(parser, scenes=20)
    parser.add_argument(
        "--views", type=int, nargs="+", default=[1, 2, 3, 6], help="how many (default 1 2 3 6)"
    )
    arguments = parser.parse_args()
    print(f"{machine()}, {os.getloadavg()[0]:.1f} processes ready")
    rows = over_seeds(_Scene(arguments.views), arguments)
    print_rows(rows, arguments.views)


if __name__ == "__main__":
    main()
