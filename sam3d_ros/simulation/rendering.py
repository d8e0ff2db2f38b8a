"""What a perfect camera sees of a scene: colour, depth, normals and labels, by ray casting."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.raycasting import RayHits
from sam3d_ros.simulation.scenes import Scene, SceneObject

Array = NDArray[np.float32]

#: sRGB is treated as a power of this exponent: the error is invisible and the function quick.
_GAMMA = 2.2
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
    rays = camera.rays()
    blind = np.isnan(rays[..., 0])
    directions = np.where(blind[..., None], np.float32(0.0), rays) @ world_from_camera.rotation.T.astype(
        np.float32
    )
    directions[blind] = world_from_camera.rotation[:, 2]
    hits = scene.rays.cast(directions, world_from_camera.translation)
    hit = hits.hit & ~blind
    ids = np.array([thing.instance_id for thing in scene.things] + [0], dtype=np.uint16)
    return Rendering(
        camera=camera,
        world_from_camera=world_from_camera,
        rgb=_shade(scene, world_from_camera, directions, hits, hit),
        depth=np.where(hit, hits.distance, np.float32(0.0)),
        normals=np.where(
            hit[..., None], hits.normal @ world_from_camera.rotation.astype(np.float32), np.float32(0.0)
        ),
        labels=np.where(hit, ids[hits.mesh], np.uint16(0)),
    )


def _shade(
    scene: Scene, world_from_camera: Similarity, directions: Array, hits: RayHits, hit: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 picture: Lambert's law, a hard lamp with its shadow, the sky, and a highlight on gloss."""
    eye = world_from_camera.translation.astype(np.float32)
    toward_lamp = np.asarray(scene.light.direction, np.float32)
    albedo = np.empty((*hit.shape, 3), np.float32)
    albedo[:] = _SKY
    normals = hits.normal.copy()
    gloss = np.zeros(hit.shape, np.float32)
    for index, thing in enumerate(scene.things):
        own = hit & (hits.mesh == index)
        if not own.any():
            continue
        points = directions[own] * hits.distance[own][:, None] + eye
        pose = thing.world_from_object
        local = (points - pose.translation.astype(np.float32)) @ pose.rotation.astype(np.float32)
        albedo[own] = thing.paint(local)
        gloss[own] = thing.gloss
        if thing.instance_id:
            normals[own] = _smooth_normals(thing, hits.triangle[own], hits.barycentric[own])
    facing = np.maximum(normals @ toward_lamp, 0.0)
    lit = facing * _lamp_visible(scene, directions, hits, hit, eye, toward_lamp)
    sky = scene.light.sky * (0.65 + 0.35 * normals[..., 2])
    light = np.where(hit, scene.light.lamp * lit + sky, np.float32(1.0))
    linear = np.maximum(albedo, 0.0) ** _GAMMA * light[..., None]
    view = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    halfway = toward_lamp - view
    halfway /= np.linalg.norm(halfway, axis=-1, keepdims=True)
    highlight = gloss * np.maximum((normals * halfway).sum(axis=-1), 0.0) ** _SHININESS * (lit > 0)
    linear += highlight[..., None]
    picture = np.clip(linear, 0.0, 1.0) ** np.float32(1 / _GAMMA)
    return cv2.GaussianBlur(np.rint(picture * 255).astype(np.uint8), (0, 0), _LENS_BLUR)


def _lamp_visible(
    scene: Scene, directions: Array, hits: RayHits, hit: NDArray[np.bool_], eye: Array, toward_lamp: Array
) -> Array:
    """(H, W) share of the lamp that reaches each pixel; cast at half the size, which also softens the shadow."""
    half = np.s_[::2, ::2]
    origin = directions[half] * np.where(hit[half], hits.distance[half], 0.0)[..., None] + eye
    origin += _SHADOW_BIAS * hits.normal[half] + 4 * _SHADOW_BIAS * toward_lamp
    blocked = scene.rays.cast(np.broadcast_to(toward_lamp, origin.shape), origin).hit
    size = (hit.shape[1], hit.shape[0])
    lit = cv2.resize((~blocked).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.GaussianBlur(lit, (0, 0), 1.2))


def _smooth_normals(thing: SceneObject, triangles: NDArray[np.int64], barycentric: Array) -> Array:
    """(N, 3) unit normals in the world, interpolated between the corners of triangles except over creases."""
    corners = _corner_normals(thing.mesh)[triangles]
    u, v = barycentric[:, :1], barycentric[:, 1:]
    normal = (1 - u - v) * corners[:, 0] + u * corners[:, 1] + v * corners[:, 2]
    normal = normal @ thing.world_from_object.rotation.T.astype(np.float32)
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
