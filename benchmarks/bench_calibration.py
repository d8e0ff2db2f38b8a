"""Whether the covariances of poses are true: normalised errors, and how often the truth is inside the ellipsoids.

`python benchmarks/bench_calibration.py [--scenes 60] [--first-seed S] [--jobs N] [--true-meshes | --face-on]`

Objects of simulated scenes are reconstructed, refined and judged by the pipeline of the graph; with `--true-meshes`
their true meshes are refined from poses beside the true ones instead, which leaves out the error of the shape. Errors
are modulo the naming of axes and turns of round things. Tables, for all objects, the ACCEPTED ones, and each label:

- NEES: mean squared error in units of its covariance, for each degree of freedom; true covariances give 1, inside the
  bounds 95 % of the time; the median likewise, without the weight of outliers;
- 50, 90, 95 %: how often the truth is inside the ellipsoid that should hold it that often;
- error and sigma: quantiles of the length of the error, and of the root of the covariance's trace.

`--json FILE` keeps the figures of each object. Objects of real frames with a truth come last, one a line.

`--face-on`: a box that faces the camera, its pose wrong along its face: true error against sigma there. Without a
step, at no offset, the error is zero by construction and the ratio says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from bench_accuracy import truth_of_mesh
from scipy.spatial.transform import Rotation
from simulated_views import View, add_seeds, answers, look, over_seeds, random_view

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.mesh_files import read_mesh
from sam3d_ros.geometry.pose_measures import (
    LEVELS,
    consistency,
    pose_error,
    position_square,
    rotation_square,
)
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence, cut
from sam3d_ros.perception.fitting.refinement import RefinementConfig, refine, refine_pose
from sam3d_ros.perception.judging.verdict import judge
from sam3d_ros.perception.recorded.frame_folder import read_frame_folder
from sam3d_ros.simulation import shapes
from sam3d_ros.simulation.paints import Plain
from sam3d_ros.simulation.scenes import Scene, object_from_surface, random_scene
from sam3d_ros.simulation.trajectories import viewpoint

UNKNOWN = Verdict(VerdictState.UNCERTAIN, (), np.nan, np.nan, np.nan, 0, ScaleSource.DEPTH)
#: Standard deviations of the poses that true meshes are refined from, metres and radians.
START_SHIFT, START_TURN = 0.003, np.deg2rad(2.0)
#: Metres that the pose of the box that faces the camera is wrong along its face.
FACE_OFFSETS = (0.0, 0.0003, 0.001, 0.003, 0.01)
FACE_TRIALS = 20
FACE_SIZE, FACE_DISTANCE = (0.16, 0.10, 0.12), 0.7
QUANTILES = (0.1, 0.5, 0.9)
REAL_FRAMES = ("ycbv_a/000001", "lmo/sam6d_example")


@dataclass(frozen=True)
class Outcome:
    """One object: its error and what its covariance says; millimetres and degrees, optical frame.

    Attributes:
        seed, instance_id, label: which.
        verdict, reasons: how it was judged.
        position, rotation: errors.
        position_sigma, rotation_sigma: roots of the diagonal of the covariance.
        position_square, rotation_square: squared Mahalanobis lengths.
        rotation_freedom: degrees of freedom of the latter.
        known_rotation_sigma: root of the variance of the rotation, summed over these.
    """

    seed: int
    instance_id: int
    label: str
    verdict: str
    reasons: tuple[str, ...]
    position: tuple[float, ...]
    rotation: tuple[float, ...]
    position_sigma: tuple[float, ...]
    rotation_sigma: tuple[float, ...]
    position_square: float
    rotation_square: float
    rotation_freedom: int
    known_rotation_sigma: float

    @staticmethod
    def of(seed: int, view: View, estimate: ObjectEstimate) -> Outcome:
        """Compare an estimate with the truth of its view."""
        error = view.pose_error(estimate)
        sigma = np.sqrt(np.diag(estimate.covariance))
        known = error.known @ estimate.covariance[3:, 3:] @ error.known.T
        return Outcome(
            seed=seed,
            instance_id=estimate.instance_id,
            label=estimate.label,
            verdict=estimate.verdict.state.name,
            reasons=estimate.verdict.reasons,
            position=tuple((1e3 * error.position).tolist()),
            rotation=tuple(np.rad2deg(error.rotation).tolist()),
            position_sigma=tuple((1e3 * sigma[:3]).tolist()),
            rotation_sigma=tuple(np.rad2deg(sigma[3:]).tolist()),
            position_square=position_square(error, estimate.covariance),
            rotation_square=rotation_square(error, estimate.covariance),
            rotation_freedom=len(error.known),
            known_rotation_sigma=float(np.rad2deg(np.sqrt(np.trace(known)))),
        )


def reconstructed(seed: int) -> list[Outcome]:
    """All objects of a scene, as the graph answers them."""
    view = random_view(seed)
    return [Outcome.of(seed, view, estimate) for _, estimate in answers(view.frame)]


def refined_from_truth(seed: int) -> list[Outcome]:
    """All objects of a scene, their true meshes refined from poses beside the true ones."""
    view, rng = random_view(seed), np.random.default_rng(seed)
    found = []
    for piece in cut(view.frame):
        estimate = beside(view, piece, rng)
        refined = refine(piece, estimate, metric=True)
        found.append(
            Outcome.of(
                seed,
                view,
                ObjectEstimate(
                    piece.instance_id,
                    piece.label,
                    refined.mesh,
                    refined.camera_from_object,
                    refined.covariance,
                    judge(piece, refined),
                ),
            )
        )
    return found


def beside(view: View, piece: Evidence, rng: np.random.Generator) -> ObjectEstimate:
    """The true mesh of an object with a pose beside the true one."""
    pose = view.pose(piece.instance_id)
    turn = Rotation.from_rotvec(rng.normal(0.0, START_TURN, 3)).as_matrix()
    start = Similarity(turn @ pose.rotation, pose.translation + rng.normal(0.0, START_SHIFT, 3), pose.scale)
    return ObjectEstimate(
        piece.instance_id, piece.label, view.things[piece.instance_id].mesh, start, np.eye(6), UNKNOWN
    )


def groups(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    """All, the ACCEPTED ones, and these by label."""
    accepted = [o for o in outcomes if o.verdict == VerdictState.ACCEPTED.name]
    yield "all", list(outcomes)
    yield "ACCEPTED", accepted
    for label in sorted({o.label for o in outcomes}):
        yield f"ACCEPTED {label}", [o for o in accepted if o.label == label]


def report(outcomes: Sequence[Outcome]) -> None:
    """Both tables: of positions and of rotations."""
    levels = " ".join(f"{level:6.0%}" for level in LEVELS)
    quantiles = " ".join(f"{f'q{quantile:.0%}'.rstrip('%'):>6s}" for quantile in QUANTILES)
    for what, unit in (("position", "mm"), ("rotation", "deg")):
        is_position = what == "position"
        print(
            f"\n{what:20s} {'count':>5s} {'NEES':>8s} {'bounds':>12s} {'median':>7s} {levels}   "
            f"error {unit}: {quantiles}   sigma {unit}: {quantiles}"
        )
        for name, some in groups(outcomes):
            squares = [o.position_square if is_position else o.rotation_square for o in some]
            found = consistency(squares, [3 if is_position else o.rotation_freedom for o in some])
            errors = [float(np.linalg.norm(o.position if is_position else o.rotation)) for o in some]
            sigmas = [
                float(np.linalg.norm(o.position_sigma)) if is_position else o.known_rotation_sigma
                for o in some
            ]
            covered = " ".join(f"{share:6.1%}" for share in found.covered)
            bounds = f"{found.low:.2f}..{found.high:.2f}"
            print(
                f"{name:20s} {len(some):5d} {found.nees:8.2f} {bounds:>12s} {found.median:7.2f} {covered}   "
                f"{'':{6 + len(unit) + 1}s}{spread(errors)}   {'':{6 + len(unit) + 1}s}{spread(sigmas)}"
            )


def spread(values: Sequence[float]) -> str:
    """The quantiles of some figures."""
    if not values:
        return " ".join(f"{'nan':>6s}" for _ in QUANTILES)
    return " ".join(f"{quantile:6.2f}" for quantile in np.quantile(values, QUANTILES))


def report_real(data: Path) -> None:
    """Normalised errors of the annotated objects of real frames; the errors of their annotation are in them.

    The axes of a scan may lie askew in it, and the smallest box around a thing with a handle may do, too: of these two
    true boxes the one counts whose axes are nearer.
    """
    print(
        f"\n{'real frames':40s} {'verdict':10s} {'position mm':>11s} {'sigma':>6s} {'NEES':>7s} "
        f"{'rotation deg':>12s} {'sigma':>6s} {'NEES':>7s}"
    )
    for name in REAL_FRAMES:
        folder = read_frame_folder(data / name)
        things = {thing.instance_id: thing for thing in folder.objects}
        for _, estimate in answers(folder.frame()):
            thing = things[estimate.instance_id]
            if thing.mesh_path is None or thing.camera_from_object is None:
                continue
            mesh = read_mesh(thing.mesh_path, unit=thing.mesh_unit)
            truth = truth_of_mesh(mesh, thing.camera_from_object)
            error = min(
                (
                    pose_error(estimate.camera_from_object, Similarity(box.rotation, box.center))
                    for box in (truth.own_box, truth.smallest_box)
                ),
                key=lambda each: float(np.linalg.norm(each.rotation)),
            )
            sigma = np.sqrt([np.trace(estimate.covariance[:3, :3]), np.trace(estimate.covariance[3:, 3:])])
            print(
                f"{f'{name} {estimate.label}':40.40s} {estimate.verdict.state.name:10s} "
                f"{1e3 * np.linalg.norm(error.position):11.2f} {1e3 * sigma[0]:6.2f} "
                f"{position_square(error, estimate.covariance) / 3.0:7.2f} "
                f"{np.rad2deg(np.linalg.norm(error.rotation)):12.2f} {np.rad2deg(sigma[1]):6.2f} "
                f"{rotation_square(error, estimate.covariance) / 3.0:7.2f}"
            )


def report_face_on() -> None:
    """The box that faces the camera: error and sigma along its face."""
    # A step that moves nothing but the strongest direction, and the whole refinement.
    configs = {
        "one damped step": RefinementConfig(iterations=1, least_information=0.99),
        "refined": RefinementConfig(),
    }
    print(
        f"\n{FACE_TRIALS} boxes of {FACE_SIZE} m, {FACE_DISTANCE} m away; root of the mean square along the face, mm"
    )
    print(f"{'offset':>7s} {'':16s} {'error':>8s} {'sigma':>8s} {'sigma/error':>12s}")
    views = [face_on_view(trial) for trial in range(FACE_TRIALS)]
    for offset in FACE_OFFSETS:
        for name, config in configs.items():
            found = [off_along_the_face(*view, offset, config) for view in views]
            error, sigma = np.sqrt(np.mean(np.square(found), axis=(0, 2)))
            print(
                f"{1e3 * offset:7.1f} {name:16s} {1e3 * error:8.3f} {1e3 * sigma:8.3f} {sigma / error:12.2f}"
            )


def face_on_view(trial: int) -> tuple[View, float]:
    """A box whose front faces the camera, moved and measured by chance, and a direction along its face."""
    rng = np.random.default_rng(trial)
    box = object_from_surface(shapes.box(FACE_SIZE), Plain((0.7, 0.4, 0.2)), label="box", instance_id=1)
    furniture = random_scene(trial, 1)
    scene = Scene((box,), furniture.furniture, furniture.light)
    aside = np.array([rng.uniform(-0.002, 0.002), 0.0, rng.uniform(-0.002, 0.002)])
    middle = box.world_from_object.translation - [0.0, FACE_SIZE[1] / 2.0, 0.0] + aside
    return look(scene, viewpoint(FACE_DISTANCE, 0.0, 0.0, middle), rng), rng.uniform(0.0, 2.0 * np.pi)


def off_along_the_face(
    view: View, direction: float, offset: float, config: RefinementConfig
) -> tuple[np.ndarray, np.ndarray]:
    """(2,) error and (2,) sigma across the optical axis, metres, of a pose that began beside the truth."""
    truth = view.pose(1)
    shift = offset * np.array([np.cos(direction), np.sin(direction), 0.0])
    start = Similarity(truth.rotation, truth.translation + shift, truth.scale)
    measurement = cut(view.frame)[0].measured(config.max_points)
    found = refine_pose(view.things[1].mesh, start, measurement, config)
    error = found.camera_from_object.translation - truth.translation
    return error[:2], np.sqrt(np.diag(found.covariance)[:2])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_seeds(parser, scenes=60)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--true-meshes", action="store_true", help="refine true meshes from poses nearby")
    kind.add_argument("--face-on", action="store_true", help="only the box that faces the camera")
    parser.add_argument("--json", type=Path, help="file for the figures of each object")
    default = os.environ.get("SAM3D_DATA_DIR", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the real frames")
    arguments = parser.parse_args()
    if arguments.face_on:
        report_face_on()
        return
    outcomes = over_seeds(refined_from_truth if arguments.true_meshes else reconstructed, arguments)
    report(outcomes)
    if arguments.data.is_dir() and not arguments.true_meshes:
        report_real(arguments.data)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))


if __name__ == "__main__":
    main()
