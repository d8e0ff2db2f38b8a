"""Accuracy of the geometric reconstructor on every frame with a truth, and how fast it is.

`python benchmarks/bench_accuracy.py [--scenes 20] [--hidden 0] [--first-seed 0] [--data DIR] [--brief]`

Each object is reconstructed, refined and judged as the graph does it, and compared with the truth in the camera frame:

- residual: mean distance of the measured points to the visible surface, millimetres; points farther away than a
  quarter of the object's diameter bled into the mask and are left out;
- surface: symmetric distance to the surface of the true mesh, percent of its diameter (largest vertex distance);
- box: overlap (intersection over union) of the estimate's box with the smallest box around the true mesh;
- axes: the same with the box along the true mesh's own axes, which for some scans lie askew;
- center: distance between the centres of these boxes, millimetres.

The measures of the field are in a table of their own: ADD-SB, CD_norm, DRE (`sam3d_ros/geometry/shape_measures.py`),
with what was not answered counted as a failure. `--hidden` looks at scenes whose things are hidden by 30 to 60 %.

The baseline is a plane and a rectangle: the smallest rectangle around the footprint of the measured points, from
the support plane up to the highest point.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import trimesh
from field_measures import FieldMeasures, print_field_measures
from running_graph import machine
from simulated_views import CAMERA, OBJECTS_IN_A_SCENE, look, random_view

from sam3d_ros.geometry.boxes import OrientedBox, box_iou
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.mesh_files import read_mesh
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.surfaces import diameter, surface_distance, transformed
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence, cut
from sam3d_ros.perception.fitting.refinement import distances, refine
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.geometric.footprint import smallest_rectangle
from sam3d_ros.perception.geometric.occupancy import box_solid
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.geometric.segment import segment_instance
from sam3d_ros.perception.geometric.support import find_support, place_on_ground
from sam3d_ros.perception.judging.appraisal import appraised
from sam3d_ros.perception.judging.verdict import judge
from sam3d_ros.perception.recorded.frame_folder import TrueObject, read_frame_folder
from sam3d_ros.simulation.hiding import hidden_scene

WITH_TRUTH = ("ycbv_a/000001", "lmo/sam6d_example", "kitti_a/000000", "kitti_a/000002")
WITHOUT_TRUTH = ("mosd_a/learn35", "mosd_a/test45", "mosd_a/test57", "arc2017/0")
#: Points farther from the surface than this share of the diameter are not of the object.
BLED_IN = 0.25
#: Surface distance that a good object keeps, percent of the diameter.
GOOD = 10.0


@dataclass(frozen=True, eq=False)
class Truth:
    """What is truly there: the mesh in the optical frame, metres (None = unknown), and boxes around it."""

    mesh: Mesh | None
    smallest_box: OrientedBox
    own_box: OrientedBox


@dataclass(frozen=True)
class Row:
    """One object against its truth; NaN where there is none."""

    where: str
    label: str
    verdict: Verdict
    residual: float
    surface: float
    box: float
    axes: float
    center: float
    field: FieldMeasures | None = None


def truth_of_mesh(mesh: Mesh, pose: Similarity) -> Truth:
    """The truth of a mesh with a pose."""
    posed = transformed(mesh, pose)
    box_from_camera, size = trimesh.bounds.oriented_bounds(posed.vertices.astype(np.float64))
    camera_from_box = np.linalg.inv(box_from_camera)
    smallest = OrientedBox(camera_from_box[:3, 3], camera_from_box[:3, :3], np.asarray(size))
    return Truth(posed, smallest, OrientedBox.of_mesh(mesh, pose))


def truth_of_folder(thing: TrueObject) -> Truth | None:
    """The truth of an annotated object; None where it has neither mesh nor box."""
    if thing.camera_from_object is None:
        return None
    if thing.mesh_path is not None:
        return truth_of_mesh(read_mesh(thing.mesh_path, unit=thing.mesh_unit), thing.camera_from_object)
    if thing.size is None:
        return None
    pose = thing.camera_from_object
    box = OrientedBox(pose.translation, pose.rotation, thing.size)
    return Truth(None, box, box)


def answers_of(reconstructor: GeometricReconstructor, evidence: Sequence[Evidence]) -> list[ObjectEstimate]:
    """Reconstructed, refined and judged, as the graph does it."""
    answers = zip(evidence, reconstructor.reconstruct(evidence), strict=True)
    return [appraised(piece, estimate, metric=True) for piece, estimate in answers]


def compared(
    where: str,
    evidence: Sequence[Evidence],
    estimates: Sequence[ObjectEstimate],
    truths: Mapping[int, Truth | None],
) -> list[Row]:
    """The rows of a frame."""
    seen = {piece.instance_id: piece for piece in evidence}
    return [compare(where, seen[e.instance_id], e, truths.get(e.instance_id)) for e in estimates]


def compare(where: str, evidence: Evidence, estimate: ObjectEstimate, truth: Truth | None) -> Row:
    """One row of the table."""
    points = evidence.measured(2000).points
    residual = np.nan
    if len(points):
        off = distances(VisibleSurface.of(estimate.mesh), estimate.camera_from_object, points)
        near = off < BLED_IN * float(np.linalg.norm(estimate.size))
        residual = 1e3 * float(off[near].mean()) if near.any() else np.nan
    surface = box = axes = center = np.nan
    field = None
    if truth is not None:
        found = OrientedBox.of_mesh(estimate.mesh, estimate.camera_from_object)
        box, axes = box_iou(found, truth.smallest_box), box_iou(found, truth.own_box)
        center = 1e3 * float(np.linalg.norm(found.center - truth.own_box.center))
        if truth.mesh is not None:
            posed = transformed(estimate.mesh, estimate.camera_from_object)
            surface = 100.0 * surface_distance(posed, truth.mesh) / diameter(truth.mesh)
            field = FieldMeasures.of(estimate, truth.mesh)
    return Row(where, evidence.label, estimate.verdict, residual, surface, box, axes, center, field)


def field_measures(rows: Sequence[Row]) -> list[FieldMeasures]:
    """Of those rows whose true mesh is known."""
    return [row.field for row in rows if row.field is not None]


def plane_and_rectangle(evidence: Sequence[Evidence]) -> list[ObjectEstimate]:
    """The baseline: a box from the footprint's smallest rectangle, the support plane and the highest point."""
    segments = [(piece, segment_instance(piece)) for piece in evidence]
    measured = [(piece, segment) for piece, segment in segments if segment is not None]
    if not measured:
        return []
    plane = find_support(evidence[0].overview, [segment for _, segment in measured], GeometricConfig())
    answers = []
    for piece, segment in measured:
        ground = place_on_ground(plane, segment)
        points = ground.camera_from_ground.apply_inverse(segment.surface(2000))
        rectangle = smallest_rectangle(points[:, :2])
        height = max(float(points[:, 2].max()) - ground.base, 1e-3)
        size = np.array([*np.maximum(rectangle.sides, 1e-3), height])
        c, s = np.cos(rectangle.angle), np.sin(rectangle.angle)
        extent = float(size.max())
        ground_from_box = Similarity(
            np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]),
            np.array([*rectangle.center, ground.base + height / 2.0]),
            np.full(3, extent),
        )
        solid = box_solid(-size / extent / 2.0, size / extent / 2.0)
        mesh = Mesh(
            solid.vertices.astype(np.float32), solid.triangles.astype(np.uint32), np.zeros((8, 3), np.uint8)
        )
        unknown = Verdict(VerdictState.UNCERTAIN, (), np.nan, np.nan, np.nan, 0, ScaleSource.DEPTH)
        estimate = ObjectEstimate(
            piece.instance_id,
            piece.label,
            mesh,
            ground.camera_from_ground @ ground_from_box,
            np.eye(6),
            unknown,
        )
        answers.append(replace(estimate, verdict=judge(piece, estimate)))
    return answers


def simulated(seed: int) -> tuple[Frame, dict[int, Truth]]:
    """A random scene from a random place, with the noise of a depth camera."""
    view = random_view(seed)
    return view.frame, {i: truth_of_mesh(thing.mesh, view.pose(i)) for i, thing in view.things.items()}


def simulated_hidden(seed: int) -> tuple[Frame, dict[int, Truth]]:
    """A scene whose first things are hidden by others; the truth of those alone."""
    found = hidden_scene(seed, CAMERA)
    view = look(found.scene, found.world_from_camera, np.random.default_rng(seed))
    return view.frame, {i: truth_of_mesh(view.things[i].mesh, view.pose(i)) for i in found.hidden}


def mean(values: Iterable[float]) -> float:
    """Mean without NaN; NaN of nothing."""
    known = [value for value in values if not np.isnan(value)]
    return statistics.fmean(known) if known else np.nan


def median(values: Iterable[float]) -> float:
    """Median without NaN; NaN of nothing."""
    known = [value for value in values if not np.isnan(value)]
    return statistics.median(known) if known else np.nan


COLUMNS = f"{'residual':>8s} {'surface':>8s} {'box':>6s} {'axes':>6s} {'center':>8s}"
HEADER = f"{'object':40s} {'verdict':10s} {COLUMNS}  reasons"


def line(name: str, verdict: str, numbers: Sequence[float], reasons: Sequence[str] = ()) -> str:
    """A line under `HEADER`."""
    residual, surface, box, axes, center = (
        f"{n:.{d}f}" for n, d in zip(numbers, (1, 1, 2, 2, 0), strict=True)
    )
    figures = f"{residual:>8s} {surface:>8s} {box:>6s} {axes:>6s} {center:>8s}"
    return f"{name:40.40s} {verdict:10s} {figures}  {' '.join(reasons)}"


def figures(row: Row) -> tuple[float, float, float, float, float]:
    """The numbers of a row in the order of the table."""
    return row.residual, row.surface, row.box, row.axes, row.center


def summary(name: str, rows: Sequence[Row]) -> str:
    """Means of a set of rows as a line of the table."""
    return line(name, "", [mean(column) for column in zip(*map(figures, rows), strict=True)])


def report_truths(reconstructor: GeometricReconstructor, data: Path) -> None:
    """The frames of the folder that have a truth."""
    print(HEADER)
    field: dict[str, list[FieldMeasures]] = {}
    for name in WITH_TRUTH:
        folder = read_frame_folder(data / name)
        evidence = cut(folder.frame())
        truths = {thing.instance_id: truth_of_folder(thing) for thing in folder.objects}
        rows = compared(name, evidence, answers_of(reconstructor, evidence), truths)
        for row in rows:
            print(line(f"{name} {row.label}", row.verdict.state.name, figures(row), row.verdict.reasons))
        baseline = compared(name, evidence, plane_and_rectangle(evidence), truths)
        print(summary(f"{name} MEAN", rows))
        print(summary(f"{name} BASELINE", baseline))
        field[name] = field_measures(rows)
    print_field_measures(field)


def report_answers(reconstructor: GeometricReconstructor, data: Path) -> None:
    """The frames without a truth: is every mask answered?"""
    print(f"\n{'frame':20s} {'masks':>6s} {'answers':>8s}  verdicts and reasons")
    for name in WITHOUT_TRUTH:
        evidence = cut(read_frame_folder(data / name).frame())
        answers = answers_of(reconstructor, evidence)
        states = Counter(answer.verdict.state.name for answer in answers)
        reasons = Counter(reason for answer in answers for reason in answer.verdict.reasons)
        print(f"{name:20s} {len(evidence):6d} {len(answers):8d}  {dict(states)} {dict(reasons)}")


def report_scenes(reconstructor: GeometricReconstructor, seeds: range, *, brief: bool) -> list[Frame]:
    """Simulated scenes; the frames are returned for the timing."""
    frames: list[Frame] = []
    rows: list[Row] = []
    baseline: list[Row] = []
    for seed in seeds:
        frame, truths = simulated(seed)
        frames.append(frame)
        name = f"scene {seed:02d}"
        evidence = cut(frame)
        rows += compared(name, evidence, answers_of(reconstructor, evidence), truths)
        baseline += compared(name, evidence, plane_and_rectangle(evidence), truths)
    if not rows:
        return frames
    print(f"\n{len(seeds)} simulated scenes, {len(rows)} visible objects\n{HEADER}")
    if not brief:
        for row in rows:
            print(line(f"{row.where} {row.label}", row.verdict.state.name, figures(row), row.verdict.reasons))
    for label in sorted({row.label for row in rows}):
        print(summary(f"{label} MEAN", [row for row in rows if row.label == label]))
    print(summary("MEAN", rows))
    print(summary("BASELINE", baseline))
    for name, some in (("geometric", rows), ("plane and rectangle", baseline)):
        print(
            f"{name}: median box {median(r.box for r in some):.2f}, axes {median(r.axes for r in some):.2f}, "
            f"surface {median(r.surface for r in some):.1f} %"
        )
    for state in VerdictState:
        of_state = [row for row in rows if row.verdict.state is state]
        good = sum(row.surface <= GOOD for row in of_state)
        print(
            f"{state.name:10s} {len(of_state):4d} of {len(rows)}, within {GOOD:.0f} % of the diameter: {good}; "
            f"mean surface {mean(r.surface for r in of_state):.1f} %, box {mean(r.box for r in of_state):.2f}"
        )
    print("reasons:", dict(Counter(reason for row in rows for reason in row.verdict.reasons)))
    print_field_measures(by_verdict("scenes", rows) | {"plane and rectangle": field_measures(baseline)})
    return frames


def by_verdict(name: str, rows: Sequence[Row]) -> dict[str, list[FieldMeasures]]:
    """The measures of all rows, and of those that are ACCEPTED."""
    accepted = [row for row in rows if row.verdict.state is VerdictState.ACCEPTED]
    return {name: field_measures(rows), f"{name}, ACCEPTED": field_measures(accepted)}


def report_hidden(reconstructor: GeometricReconstructor, seeds: range) -> None:
    """Scenes whose things are hidden by others."""
    rows: list[Row] = []
    for seed in seeds:
        frame, truths = simulated_hidden(seed)
        evidence = cut(frame)
        everything = compared(f"hidden {seed}", evidence, answers_of(reconstructor, evidence), truths)
        rows += [row for row in everything if row.field is not None]
    print_field_measures(by_verdict("hidden", rows))


def report_times(reconstructor: GeometricReconstructor, frames: Sequence[Frame]) -> None:
    """Medians over the frames with all of their objects visible."""
    whole = [frame for frame in frames if len(frame.instance_ids()) == OBJECTS_IN_A_SCENE][:10]
    cutting, batch, single, refining, judging = [], [], [], [], []
    for frame in whole:
        start = time.perf_counter()
        evidence = cut(frame)
        middle = time.perf_counter()
        estimates = reconstructor.reconstruct(evidence)
        cutting.append(middle - start)
        batch.append(time.perf_counter() - middle)
        for piece in evidence:
            start = time.perf_counter()
            reconstructor.reconstruct([piece])
            single.append(time.perf_counter() - start)
        # A new frame of known objects: nothing about it is kept yet, but the meshes are known.
        for piece, estimate in zip(evidence, estimates, strict=True):
            refine(piece, estimate, metric=True)
        for piece, estimate in zip(cut(frame), estimates, strict=True):
            start = time.perf_counter()
            refined = refine(piece, estimate, metric=True)
            middle = time.perf_counter()
            judge(piece, refined)
            refining.append(middle - start)
            judging.append(time.perf_counter() - middle)
    if whole:
        print(
            f"\nmedian milliseconds at {CAMERA.width}x{CAMERA.height}, {OBJECTS_IN_A_SCENE} objects; {machine()}"
        )
        for name, seconds in (
            ("cut a frame", cutting),
            ("reconstruct all objects of a frame", batch),
            ("reconstruct one new object", single),
            ("refine a known object", refining),
            ("judge it", judging),
        ):
            print(f"  {name:36s} {1e3 * statistics.median(seconds):7.1f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenes", type=int, default=20, help="simulated scenes of 5 objects (default 20)")
    parser.add_argument("--hidden", type=int, default=0, help="scenes with hidden things (default 0)")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first scene (default 0)")
    default = os.environ.get("SAM3D_DATA_DIR", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the real frames")
    parser.add_argument("--brief", action="store_true", help="no line for each simulated object")
    arguments = parser.parse_args()
    reconstructor = GeometricReconstructor()
    if arguments.data.is_dir():
        report_truths(reconstructor, arguments.data)
        report_answers(reconstructor, arguments.data)
    else:
        print(f"no real frames at {arguments.data}: set SAM3D_DATA_DIR or --data to their folder")
    first = arguments.first_seed
    frames = report_scenes(reconstructor, range(first, first + arguments.scenes), brief=arguments.brief)
    if arguments.hidden:
        report_hidden(reconstructor, range(first, first + arguments.hidden))
    report_times(reconstructor, frames)


if __name__ == "__main__":
    main()
