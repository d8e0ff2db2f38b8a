"""Meshes on disk: binary PLY and GLB written here, PLY, OBJ and GLB read through trimesh."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity, canonical_from_glb, glb_from_canonical
from sam3d_ros.geometry.meshes import Mesh

#: Colour of meshes whose file has none: mid grey.
_NO_COLOR = (160, 160, 160)

_PLY_VERTEX = np.dtype([("position", "<f4", 3), ("color", "u1", 3)])
_PLY_FACE = np.dtype([("count", "u1"), ("indices", "<i4", 3)])

# Constants of the glTF 2.0 specification.
_GLTF_FLOAT, _GLTF_UNSIGNED_SHORT, _GLTF_UNSIGNED_INT = 5126, 5123, 5125
_GLTF_ARRAY_BUFFER, _GLTF_ELEMENT_ARRAY_BUFFER = 34962, 34963
_GLB_MAGIC, _GLB_VERSION, _GLB_JSON, _GLB_BINARY = 0x46546C67, 2, 0x4E4F534A, 0x004E4942


def write_ply(path: str | Path, mesh: Mesh) -> None:
    """Write a binary little-endian PLY with vertex colours, in the coordinates of the mesh."""
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(mesh.vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        f"element face {len(mesh.triangles)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    vertices = np.empty(len(mesh.vertices), _PLY_VERTEX)
    vertices["position"], vertices["color"] = mesh.vertices, mesh.colors
    faces = np.empty(len(mesh.triangles), _PLY_FACE)
    faces["count"], faces["indices"] = 3, mesh.triangles
    Path(path).write_bytes(header.encode("ascii") + vertices.tobytes() + faces.tobytes())


def read_mesh(path: str | Path, *, unit: float = 1.0) -> Mesh:
    """Read a PLY, OBJ or GLB file; a texture becomes vertex colours.

    Args:
        path: the file. GLB is y-up and is turned to z-up; PLY and OBJ are taken as they are.
        unit: metres for one unit of the file.

    Returns:
        The whole file as one mesh, in metres if `unit` says so.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds no triangle, or its format is unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no mesh at {path}")
    try:
        scene = trimesh.load_scene(path, process=False)
    except NotImplementedError as error:
        raise ValueError(f"{path} is of an unknown mesh format: give .ply, .obj or .glb") from error
    parts, placed = [], []
    for node in scene.graph.nodes_geometry:
        scene_from_part, name = scene.graph[node]
        part = scene.geometry[name]
        if isinstance(part, trimesh.Trimesh) and len(part.faces):
            parts.append(part)
            placed.append(part.vertices @ scene_from_part[:3, :3].T + scene_from_part[:3, 3])
    if not parts:
        raise ValueError(f"{path} holds no triangle: a surface mesh is expected")
    vertices = np.concatenate(placed) * unit
    if path.suffix.lower() in (".glb", ".gltf"):
        vertices = canonical_from_glb(vertices)
    first = np.cumsum([0, *(len(part.vertices) for part in parts)])
    triangles = np.concatenate([part.faces + start for part, start in zip(parts, first, strict=False)])
    colors = np.concatenate([_vertex_colors(part) for part in parts])
    return Mesh(vertices.astype(np.float32), triangles, colors)


@dataclass(frozen=True, eq=False)
class ScenePart:
    """A posed mesh of a GLB scene: its name and its pose in the z-up scene."""

    name: str
    mesh: Mesh
    scene_from_mesh: Similarity


def write_glb(path: str | Path, parts: Sequence[ScenePart]) -> None:
    """Write meshes as one GLB scene, turned from z-up to the y-up frame of glTF.

    Poses are applied to the vertices, because a node of glTF may not scale after it rotates and many viewers
    ignore nodes. Vertex colours are linear light in glTF, so that our sRGB is converted; 16 bits keep
    dark colours apart.

    Raises:
        ValueError: there is no part, or a part has no triangle.
    """
    if not parts or any(len(part.mesh.triangles) == 0 for part in parts):
        raise ValueError("a GLB scene needs at least one part, and triangles in each")
    binary = bytearray()
    views: list[dict[str, int]] = []
    accessors: list[dict[str, object]] = []

    def add(array: NDArray[np.generic], component: int, kind: str, target: int, **more: object) -> int:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": array.nbytes, "target": target})
        binary.extend(array.tobytes())
        count = array.size if kind == "SCALAR" else len(array)
        view = len(views) - 1
        accessors.append(
            {"bufferView": view, "componentType": component, "count": count, "type": kind, **more}
        )
        return view

    meshes = []
    for part in parts:
        position = glb_from_canonical(part.scene_from_mesh.apply(part.mesh.vertices)).astype("<f4")
        extent = {"min": position.min(axis=0).tolist(), "max": position.max(axis=0).tolist()}
        # Four channels: three would leave rows of 6 bytes, and glTF wants multiples of 4.
        color = np.full((len(position), 4), 65535, dtype="<u2")
        color[:, :3] = np.rint(_linear_from_srgb(part.mesh.colors) * 65535)
        attributes = {
            "POSITION": add(position, _GLTF_FLOAT, "VEC3", _GLTF_ARRAY_BUFFER, **extent),
            "COLOR_0": add(color, _GLTF_UNSIGNED_SHORT, "VEC4", _GLTF_ARRAY_BUFFER, normalized=True),
        }
        triangles = part.mesh.triangles.astype("<u4")
        indices = add(triangles, _GLTF_UNSIGNED_INT, "SCALAR", _GLTF_ELEMENT_ARRAY_BUFFER)
        meshes.append({"primitives": [{"attributes": attributes, "indices": indices, "material": 0}]})
    document = {
        "asset": {"version": "2.0", "generator": "sam3d_ros"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(parts)))}],
        "nodes": [{"name": part.name, "mesh": index} for index, part in enumerate(parts)],
        "meshes": meshes,
        "materials": [
            {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9}, "doubleSided": True}
        ],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = (
        struct.pack("<II", len(text), _GLB_JSON)
        + text
        + struct.pack("<II", len(binary), _GLB_BINARY)
        + binary
    )
    Path(path).write_bytes(struct.pack("<III", _GLB_MAGIC, _GLB_VERSION, 12 + len(chunks)) + chunks)


def _linear_from_srgb(colors: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Linear light, 0 to 1, by the transfer function of IEC 61966-2-1."""
    encoded = colors / 255.0
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _srgb_from_linear(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    encoded = np.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )
    return np.rint(np.clip(encoded, 0.0, 1.0) * 255.0).astype(np.uint8)


def _vertex_colors(part: trimesh.Trimesh) -> NDArray[np.uint8]:
    """(N, 3) sRGB colours of the vertices, from a texture if there is one, grey if there is no colour."""
    visual = part.visual
    if not isinstance(visual, trimesh.visual.TextureVisuals):
        if visual.kind is None:
            return np.tile(np.array(_NO_COLOR, np.uint8), (len(part.vertices), 1))
        return np.asarray(visual.vertex_colors, dtype=np.uint8)[:, :3]
    # The colours of a GLB with a material: linear light, as whole numbers or fractions.
    linear = visual.vertex_attributes.get("color")
    if linear is not None:
        full = np.iinfo(linear.dtype).max if np.issubdtype(linear.dtype, np.integer) else 1.0
        return _srgb_from_linear(np.asarray(linear)[:, :3] / full)
    image = getattr(visual.material, "image", None) or getattr(visual.material, "baseColorTexture", None)
    if visual.uv is None or image is None:
        return np.tile(np.array(_NO_COLOR, np.uint8), (len(part.vertices), 1))
    pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    u, v = np.mod(np.asarray(visual.uv), 1.0).T
    # v runs upwards in trimesh; rows run downwards.
    columns = np.minimum((u * width).astype(np.intp), width - 1)
    rows = np.minimum(((1.0 - v) * height).astype(np.intp), height - 1)
    return np.asarray(pixels[rows, columns])
