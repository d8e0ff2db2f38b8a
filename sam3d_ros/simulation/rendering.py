"""What a perfect camera sees of a scene: colour, depth, normals and labels, by ray casting."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity, mapped
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import NO_HIT, RayHits
from sam3d_ros.simulation.scenes import Scene, SceneObject

Array = NDArray[np.float32]

#: Neighbouring triangles that meet under a smaller angle are shaded as one smooth surface.
_CREASE = np.cos(np.deg2rad(35.0))
#: Shadow rays start this far off the surface, metres.
_SHADOW_BIAS = 2e-4
_SKY = np.array([0.80, 0.86, 0.94], np.float32)
#: Blur of the lens, pixels: real pictures have no stairs at edges.
_LENS_BLUR = 0.55
_SHININESS = 40


@dataclass(frozen=True, eq=False)
class Rendering:
    """A picture with its exact truth.

    Attributes:
        camera: of all images below.
        world_from_camera: where it stood.
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32 metres along the optical axis, 0 where no surface is.
        normals: (H, W, 3) float32 unit normals of the true surface in the optical frame, zero where none is.
        labels: (H, W) uint16 instance of each pixel, 0 = furniture or nothing.
    """

    camera: Camera
    world_from_camera: Similarity
    rgb: NDArray[np.uint8]
    depth: Array
    normals: Array
    labels: NDArray[np.uint16]


def render(scene: Scene, camera: Camera, world_from_camera: Similarity) -> Rendering:
    """Look at a scene.

    Args:
        scene: what is there.
        camera: intrinsics, with distortion if it has any; pixels without a ray see nothing.
        world_from_camera: pose of the optical frame, scale one.
    """
    shape = (camera.height, camera.width)
    rays = camera.rays().reshape(-1, 3)
    blind = np.isnan(rays[:, 0])
    if blind.any():
        # These look along the axis, and their answers are left out below.
        rays = np.where(blind[:, None], np.array([0.0, 0.0, 1.0], np.float32), rays)
    directions = mapped(rays, world_from_camera.rotation)
    hits = scene.rays.cast(directions, world_from_camera.translation)
    hit = hits.hit & ~blind
    normals = mapped(hits.normal, world_from_camera.rotation.T)
    normals[blind] = 0.0
    ids = np.array([*(thing.instance_id for thing in scene.things), 0], dtype=np.uint16)
    return Rendering(
        camera=camera,
        world_from_camera=world_from_camera,
        rgb=_shade(scene, world_from_camera, directions, hits, hit, shape),
        depth=np.where(hit, hits.distance, np.float32(0.0)).reshape(shape),
        normals=normals.reshape(*shape, 3),
        labels=np.where(hit, ids[hits.mesh], np.uint16(0)).reshape(shape),
    )


def _shade(
    scene: Scene,
    world_from_camera: Similarity,
    directions: Array,
    hits: RayHits,
    hit: NDArray[np.bool_],
    shape: tuple[int, int],
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 picture: Lambert's law, one lamp with its shadow, the sky, and a highlight on gloss.

    `directions`, `hits` and `hit` are those of the pixels row by row. Light is the square of sRGB: within a
    few steps of the standard's curve, and quick.
    """
    eye = world_from_camera.translation.astype(np.float32)
    toward_lamp = np.asarray(scene.light.direction, np.float32)
    reached = _lamp_visible(scene, directions, hits, hit, shape, eye, toward_lamp)
    picture = np.empty((len(hit), 3), np.uint8)
    picture[:] = np.rint(_SKY * 255)
    body = np.where(hit, hits.mesh, NO_HIT)
    for index, thing in enumerate(scene.things):
        own = np.flatnonzero(body == index)
        if len(own) == 0:
            continue
        ray, reach = np.take(directions, own, axis=0), np.take(reached, own)
        pose = thing.world_from_object
        place = ray * np.take(hits.distance, own)[:, None] + (eye - pose.translation.astype(np.float32))
        albedo = thing.paint(mapped(place, pose.rotation.T))
        if thing.instance_id:
            normal = _smooth_normals(
                thing, np.take(hits.triangle, own), np.take(hits.barycentric, own, axis=0)
            )
        else:
            normal = np.take(hits.normal, own, axis=0)
        lamp = np.maximum(np.einsum("ij,j->i", normal, toward_lamp), 0.0) * reach
        light = scene.light.lamp * lamp + scene.light.sky * (0.65 + 0.35 * normal[:, 2])
        linear = np.square(albedo) * light[:, None]
        if thing.gloss:
            linear += (thing.gloss * _highlight(ray, normal, toward_lamp) * reach)[:, None]
        picture[own] = np.sqrt(np.clip(linear, 0.0, 1.0)) * np.float32(255.0) + np.float32(0.5)
    return cv2.GaussianBlur(picture.reshape(*shape, 3), (0, 0), _LENS_BLUR)


def _highlight(rays: Array, normals: Array, toward_lamp: Array) -> Array:
    """(N,) mirrored light by Blinn and Phong."""
    halfway = toward_lamp - rays / np.sqrt(np.einsum("ij,ij->i", rays, rays))[:, None]
    aligned = np.einsum("ij,ij->i", halfway, normals) / np.sqrt(np.einsum("ij,ij->i", halfway, halfway))
    return np.maximum(aligned, 0.0) ** np.float32(_SHININESS)


def _lamp_visible(
    scene: Scene,
    directions: Array,
    hits: RayHits,
    hit: NDArray[np.bool_],
    shape: tuple[int, int],
    eye: Array,
    toward_lamp: Array,
) -> Array:
    """(N,) share of the lamp that reaches each pixel; cast at half the size, which also softens the shadow."""
    distance = np.where(hit, hits.distance, np.float32(0.0)).reshape(*shape, 1)[::2, ::2]
    origin = directions.reshape(*shape, 3)[::2, ::2] * distance
    origin += _SHADOW_BIAS * hits.normal.reshape(*shape, 3)[::2, ::2]
    origin += eye + 4 * _SHADOW_BIAS * toward_lamp
    blocked = scene.rays.blocked(np.broadcast_to(toward_lamp, origin.shape), origin)
    lit = cv2.GaussianBlur((~blocked).astype(np.float32), (0, 0), 0.8)
    return np.asarray(cv2.resize(lit, shape[::-1], interpolation=cv2.INTER_LINEAR)).ravel()


def _smooth_normals(thing: SceneObject, triangles: NDArray[np.int64], barycentric: Array) -> Array:
    """(N, 3) unit normals in the world, interpolated between the corners of triangles except over creases."""
    corners = _corner_normals(thing.mesh)[triangles]
    u, v = barycentric[:, :1], barycentric[:, 1:]
    normal = (1 - u - v) * corners[:, 0] + u * corners[:, 1] + v * corners[:, 2]
    normal = mapped(normal, thing.world_from_object.rotation)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)


_corner_normals_of: WeakKeyDictionary[Mesh, Array] = WeakKeyDictionary()


def _corner_normals(mesh: Mesh) -> Array:
    """(M, 3, 3) normal at each corner of each triangle: the mean of its neighbours', without those over a crease."""
    known = _corner_normals_of.get(mesh)
    if known is not None:
        return known
    triangles = mesh.triangles.astype(np.intp)
    a, b, c = mesh.vertices[triangles].transpose(1, 0, 2)
    weighted = np.cross(b - a, c - a)
    unit = weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-20)
    corner_count = triangles.size
    incidence = csr_array(
        (np.ones(corner_count, np.float32), (np.arange(corner_count), triangles.ravel())),
        shape=(corner_count, len(mesh.vertices)),
    )
    pairs = (incidence @ incidence.T).tocoo()
    own, other = pairs.row // 3, pairs.col // 3
    smooth = (unit[own] * unit[other]).sum(axis=1) > _CREASE
    rows, sources = pairs.row[smooth], other[smooth]
    sums = np.stack(
        [np.bincount(rows, weighted[sources, i], minlength=corner_count) for i in range(3)], axis=1
    )
    sums = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-20)
    normals = sums.reshape(-1, 3, 3).astype(np.float32)
    _corner_normals_of[mesh] = normals
    return normals
