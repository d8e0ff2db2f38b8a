"""A small world with exact ground truth: meshes at known poses, ray-cast into labels and depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.pipeline import ObjectPipeline, Observation
from sam3d_ros.perception.reconstructor import Progress

SECOND = 1_000_000_000
CAMERA = Camera(320, 240, 300.0, 300.0, 159.5, 119.5)


def mesh_of(shape: trimesh.Trimesh) -> Mesh:
    """A mesh in its canonical cube."""
    vertices = shape.vertices - shape.bounds.mean(axis=0)
    vertices = vertices / np.ptp(vertices, axis=0).max()
    return Mesh(vertices, shape.faces, np.full(vertices.shape, 128, np.uint8))


def wedge() -> Mesh:
    """A box with one corner pulled out: no symmetry at all."""
    shape = trimesh.creation.box((1.0, 0.7, 0.5))
    shape.vertices[0] *= (0.3, 0.5, 0.6)
    return mesh_of(shape)


@dataclass(frozen=True, eq=False)
class Thing:
    """An object of the world; an instance of 0 is not labelled but hides others all the same."""

    instance_id: int
    mesh: Mesh
    fixed_from_object: Similarity
    label: str = ""

    def moved(self, *shift: float) -> Thing:
        """The same thing elsewhere."""
        pose = self.fixed_from_object
        return replace(
            self, fixed_from_object=Similarity(pose.rotation, pose.translation + np.array(shift), pose.scale)
        )

    def numbered(self, instance_id: int) -> Thing:
        """The same thing as a segmenter with another numbering sees it."""
        return replace(self, instance_id=instance_id)


def box(instance_id: int, x: float, y: float, z: float, *, size: float = 0.1, label: str = "") -> Thing:
    """An upright wedge of a size at a place of the camera's frame."""
    turn = trimesh.transformations.euler_matrix(0.5, 0.3 * instance_id, 0.2)[:3, :3]
    return Thing(instance_id, wedge(), Similarity(turn, np.array([x, y, z]), np.full(3, size)), label)


class World:
    """Renders frames and remembers what is in them.

    Args:
        camera: intrinsics of all frames.
        noise: standard deviation of the depth, metres.
    """

    def __init__(self, camera: Camera = CAMERA, *, noise: float = 0.0) -> None:
        self.camera = camera
        self.noise = noise
        self._random = np.random.default_rng(0)
        self._things: WeakKeyDictionary[Frame, Mapping[int, Thing]] = WeakKeyDictionary()

    def frame(
        self,
        seconds: float,
        things: Sequence[Thing],
        *,
        fixed_from_camera: Similarity | None = None,
        source: PointsSource = PointsSource.DEPTH,
    ) -> Frame:
        """What the camera sees of things at a time; they stand before a wall two metres away."""
        camera_from_fixed = Similarity() if fixed_from_camera is None else fixed_from_camera.inverse()
        scene = RayScene([(thing.mesh, camera_from_fixed @ thing.fixed_from_object) for thing in things])
        hits = scene.cast(self.camera.rays())
        ids = np.array([*(thing.instance_id for thing in things), 0], dtype=np.uint16)
        depth = np.where(hits.hit, hits.distance, 2.0).astype(np.float32)
        depth += self._random.normal(0.0, self.noise, depth.shape).astype(np.float32)
        points = self.camera.rays() * depth[..., None]
        if source is PointsSource.NONE:
            points = np.full_like(points, np.nan)
        frame = Frame(
            stamp=round(seconds * SECOND),
            frame_id="camera_optical_frame",
            rgb=np.full((self.camera.height, self.camera.width, 3), 90, np.uint8),
            labels=ids[hits.mesh],
            point_map=PointMap(points),
            points_source=source,
            camera=self.camera,
            label_names={thing.instance_id: thing.label for thing in things if thing.label},
            fixed_from_camera=fixed_from_camera,
        )
        self.remember(frame, {thing.instance_id: thing for thing in things})
        return frame

    def remember(self, frame: Frame, things: Mapping[int, Thing]) -> None:
        """Say what is in a frame."""
        self._things[frame] = things

    def things(self, frame: Frame) -> Mapping[int, Thing]:
        """What is in a frame of this world, by instance."""
        return self._things[frame]


class TrueReconstructor:
    """Answers with the truth, seen from where the frame was taken; isolates tracking from reconstruction."""

    name = "true"
    is_metric = True

    def __init__(self, world: World) -> None:
        self._world = world
        self.calls: list[list[int]] = []

    def reconstruct(
        self, evidence: Sequence[Evidence], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        """The true mesh and pose of each instance."""
        self.calls.append([piece.instance_id for piece in evidence])
        answers = []
        for piece in evidence:
            frame = piece.overview.frame
            assert frame is not None
            camera_from_fixed = (
                Similarity() if frame.fixed_from_camera is None else frame.fixed_from_camera.inverse()
            )
            thing = self._world.things(frame)[piece.instance_id]
            verdict = Verdict(VerdictState.ACCEPTED, (), np.nan, np.nan, np.nan, 0, ScaleSource.DEPTH)
            pose = camera_from_fixed @ thing.fixed_from_object
            answers.append(
                ObjectEstimate(piece.instance_id, thing.label, thing.mesh, pose, 1e-4 * np.eye(6), verdict)
            )
        return answers


#: Three things side by side, none hiding another.
THREE_APART = (
    box(1, -0.2, 0.0, 0.8, label="left"),
    box(2, 0.0, 0.05, 0.7, label="middle"),
    box(3, 0.2, -0.05, 0.9, label="right"),
)


def serve(pipeline: ObjectPipeline, frame: Frame) -> Observation:
    """Observe a frame, reconstruct what is asked for, and observe the same frame again."""
    observation = pipeline.observe(frame)
    if not observation.requests:
        return observation
    fulfil(pipeline, observation)
    return pipeline.observe(frame)


def fulfil(pipeline: ObjectPipeline, observation: Observation) -> tuple[int, ...]:
    """Reconstruct what an observation asks for; the ids of the tracks that took it."""
    evidence = [request.evidence for request in observation.requests]
    return pipeline.integrate(evidence, pipeline.reconstruct(evidence))


def turn_between(first: Similarity, second: Similarity) -> float:
    """Angle of the rotation from one pose to another, degrees."""
    return float(
        np.degrees(np.linalg.norm(Rotation.from_matrix(first.rotation.T @ second.rotation).as_rotvec()))
    )


def offset_between(first: Similarity, second: Similarity) -> float:
    """Distance of two origins, metres."""
    return float(np.linalg.norm(first.translation - second.translation))
