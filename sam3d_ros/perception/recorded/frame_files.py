"""The single files of a frame folder, read and checked to their last byte.

Each function answers what a file says, or what its absence means; every fault is one line that names the file.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.plausible_cameras import check_lens, check_plausible
from sam3d_ros.geometry.plausible_distances import check_depth_unit, check_points_unit
from sam3d_ros.perception.label_images import instance_ids, single_channel
from sam3d_ros.perception.picture_files import PictureError, PictureFile, picture_file

_RGB_NAMES = ("rgb.png", "rgb.jpg")
_MILLIMETRE = 0.001
#: What sensors write for no measurement, and metres that depth cameras do not see.
_MOST, _FARTHEST = np.iinfo(np.uint16).max, 200.0
_RIGID_TOLERANCE = 1e-3
_LARGEST_ID = np.iinfo(np.uint16).max


class FrameFolderError(ValueError):
    """A frame folder cannot be used; the message is one line: the file, what is wrong, what to do."""


@dataclass(frozen=True, eq=False)
class TrueObject:
    """An object of the frame as its maker annotated it.

    Attributes:
        instance_id: value of its pixels in the label image.
        label: class name.
        camera_from_object: pose of the mesh or box frame in the optical frame, metres; None = unknown.
        mesh_path: metric mesh in the object frame; None = unknown.
        mesh_unit: metres for one unit of that mesh.
        size: (3,) full lengths of the box along the object axes, metres; None = unknown.
    """

    instance_id: int
    label: str
    camera_from_object: Similarity | None
    mesh_path: Path | None
    mesh_unit: float
    size: NDArray[np.float64] | None


def read_rgb(folder: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 colours of `rgb.png` or `rgb.jpg`, not turned as its metadata may ask for.

    Raises:
        FrameFolderError: neither is there, or it is damaged.
    """
    for name in _RGB_NAMES:
        if (folder / name).is_file():
            bgr = _decode_image(folder / name, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
            return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    raise FrameFolderError(f"{folder} has no {' or '.join(_RGB_NAMES)}: put the colour image there")


@dataclass(frozen=True, eq=False)
class RecordedCamera:
    """What `camera.json` tells.

    Attributes:
        camera: intrinsics of the colour image.
        camera_from_lidar: rigid pose of the LiDAR in the optical frame; None = not told.
        fixed_from_camera: rigid pose of the optical frame in the fixed frame; None = not told.
        depth_unit: metres of one unit of the depth image.
    """

    camera: Camera
    camera_from_lidar: Similarity | None
    fixed_from_camera: Similarity | None
    depth_unit: float


def read_camera(path: Path, size: tuple[int, int]) -> RecordedCamera:
    """Read `camera.json`.

    Args:
        path: the file.
        size: (height, width) of the colour image.

    Raises:
        FrameFolderError: it is missing, no JSON, no calibrated camera, numbers that no camera has, or one of another
            size.
    """
    if not path.is_file():
        raise FrameFolderError(
            f"{path} is missing: write the intrinsics there as width, height, fx, fy, cx, cy, "
            "distortion_model, distortion"
        )
    content = _read_json(path)
    if not isinstance(content, dict):
        raise FrameFolderError(
            f"{path} holds a {type(content).__name__}: write a JSON object with width, fx, ..."
        )
    missing = [key for key in ("width", "height", "fx", "fy", "cx", "cy") if key not in content]
    if missing:
        raise FrameFolderError(f"{path} lacks {', '.join(missing)}: add the intrinsics of the colour image")
    unknown = [key for key in ("fx", "fy", "cx", "cy") if content[key] is None]
    if unknown:
        raise FrameFolderError(
            f"{path} has {', '.join(unknown)} = null, so the camera is not calibrated: "
            "write the focal lengths and principal point in pixels"
        )
    try:
        model, distortion = _lens(content)
        camera = Camera(
            width=int(content["width"]),
            height=int(content["height"]),
            **{key: float(content[key]) for key in ("fx", "fy", "cx", "cy")},
            distortion_model=model,
            distortion=distortion,
        )
        depth_unit = float(content.get("depth_unit_m", _MILLIMETRE))
        camera_from_lidar, fixed_from_camera = (
            None if content.get(name) is None else _rigid(content[name])
            for name in ("camera_from_lidar", "fixed_from_camera")
        )
    except (TypeError, ValueError) as error:
        raise FrameFolderError(f"{path} is not a camera: {_one_line(error)}") from error
    if not (math.isfinite(depth_unit) and depth_unit > 0):
        raise FrameFolderError(
            f"{path} has depth_unit_m = {depth_unit}: give the positive metres of one depth unit"
        )
    if (camera.height, camera.width) != size:
        raise FrameFolderError(
            f"{path} is for {camera.width}x{camera.height} pixels but the image is {size[1]}x{size[0]}: "
            "scale the intrinsics or take the image they belong to"
        )
    try:
        numbers = (camera.fx, camera.fy, camera.cx, camera.cy)
        check_plausible(numbers, (camera.width, camera.height), of="a camera", is_told=True)
        check_lens(camera, of="a camera")
    except ValueError as error:
        raise FrameFolderError(
            f"{path} is of no camera: {_one_line(error)}; write the intrinsics of this image in pixels"
        ) from error
    return RecordedCamera(camera, camera_from_lidar, fixed_from_camera, depth_unit)


def _lens(content: Mapping[str, Any]) -> tuple[str, tuple[float, ...]]:
    """Model and coefficients of `camera.json`; a fisheye is one without coefficients, too, another lens is none."""
    model = content.get("distortion_model") or "none"
    distortion = tuple(float(value) for value in content.get("distortion") or ())
    if model == "equidistant":
        return model, distortion or (0.0,) * 4
    return (model, distortion) if model != "none" and any(distortion) else ("none", ())


def read_labels(path: Path, size: tuple[int, int], *, required: bool) -> NDArray[np.uint16]:
    """(H, W) uint16 instance of each pixel, 0 = none; all 0 where the file is missing and not required.

    Ids are the samples as they are stored: the index where there is a palette, 1 where there is one bit.

    Raises:
        FrameFolderError: it is missing though required, damaged, lossy, of another size, or of colours or a
            transparency that tell no ids.
    """
    if not path.is_file():
        if required:
            raise FrameFolderError(
                f"{path} is missing: write the instance of each pixel as an 8 or 16 bit grey PNG, 0 = none"
            )
        return np.zeros(size, dtype=np.uint16)
    file = _picture_file(path)
    if file.is_lossy:
        raise FrameFolderError(
            f"{path} is a lossy {file.kind}, which changes ids at every edge: write instance ids as an 8 or 16 bit "
            "grey PNG"
        )
    try:
        labels = instance_ids(single_channel(file.samples()))
    except PictureError as error:
        raise _damaged(path, error) from error
    except ValueError as error:
        raise FrameFolderError(f"{path}: {error}; write instance ids as an 8 or 16 bit grey PNG") from error
    _expect_size(path, labels, size)
    return labels


def read_depth(path: Path, size: tuple[int, int], depth_unit: float) -> NDArray[np.float32] | None:
    """(H, W) float32 metres along the optical axis, 0 = unknown; None where the file is missing.

    0 and 65535, which sensors write for no measurement, are unknown.

    Raises:
        FrameFolderError: it is damaged, no grey image of 16 bits, of another size, or in another unit.
    """
    if not path.is_file():
        return None
    raw = _decode_image(path, cv2.IMREAD_UNCHANGED)
    if raw.ndim != 2 or raw.dtype != np.uint16:
        channels = raw.shape[2] if raw.ndim == 3 else 1
        raise FrameFolderError(
            f"{path} has {channels} channels of {raw.dtype}: "
            "write depth as a 16 bit grey PNG in millimetres, 0 = none"
        )
    _expect_size(path, raw, size)
    try:
        check_depth_unit(raw, (1, _MOST - 1), 1 / depth_unit, _FARTHEST, unit=f"units of {depth_unit:g} m")
    except ValueError as error:
        raise FrameFolderError(f"{path}: {error}; write depth_unit_m in camera.json as it is") from error
    raw = np.where(raw == _MOST, 0, raw)
    return (raw * np.float64(depth_unit)).astype(np.float32)


def read_lidar(path: Path) -> NDArray[np.float32] | None:
    """(N, 4) float32 x y z in metres in the sensor frame, and intensity (0 where not told); None without the file.

    Raises:
        FrameFolderError: it cannot be read, holds no array `points` of that shape, or is not in metres.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            is_archive = isinstance(loaded, np.lib.npyio.NpzFile)
            arrays = {key: loaded[key] for key in loaded.files} if is_archive else {}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise FrameFolderError(
            f"{path} cannot be read ({_one_line(error)}): copy or save it again"
        ) from error
    if "points" not in arrays:
        raise FrameFolderError(
            f"{path} has arrays {sorted(arrays)} but not `points`: save points=(N, 4) float32"
        )
    points = arrays["points"]
    if points.ndim != 2 or points.shape[1] not in (3, 4) or not np.issubdtype(points.dtype, np.floating):
        raise FrameFolderError(
            f"{path} has points of shape {points.shape} {points.dtype}: save (N, 4) float32 x y z intensity"
        )
    try:
        check_points_unit(points[:, :3])
    except ValueError as error:
        raise FrameFolderError(f"{path}: {error}; save metres") from error
    if points.shape[1] == 3:
        points = np.column_stack([points, np.zeros(len(points), dtype=points.dtype)])
    return points.astype(np.float32)


def read_objects(path: Path) -> tuple[TrueObject, ...]:
    """What is truly there; empty where the file is missing.

    Raises:
        FrameFolderError: it is no JSON list, or an object lacks an id or has a pose that is none.
    """
    if not path.is_file():
        return ()
    content = _read_json(path)
    if not isinstance(content, list):
        raise FrameFolderError(
            f"{path} holds a {type(content).__name__}: write a list of objects with id and class"
        )
    return tuple(_true_object(path, entry) for entry in content)


def _true_object(path: Path, entry: Any) -> TrueObject:
    instance_id = _entry_id(path, entry)
    try:
        pose, size, mesh = entry.get("camera_from_object"), entry.get("size_lhw_m"), entry.get("mesh")
        return TrueObject(
            instance_id=instance_id,
            label=str(entry.get("class") or ""),
            camera_from_object=None if pose is None else _rigid(pose),
            mesh_path=None if mesh is None else path.parent / str(mesh),
            mesh_unit=float(entry.get("mesh_unit_m", 1.0)),
            size=None if size is None else np.asarray(size, dtype=np.float64).reshape(3),
        )
    except (TypeError, ValueError) as error:
        raise FrameFolderError(f"{path}: object {instance_id} is not valid: {_one_line(error)}") from error


def read_people(path: Path) -> tuple[Mapping[str, Any], ...]:
    """The entries of `people.json`, each with an id; empty where the file is missing.

    Raises:
        FrameFolderError: it is no JSON, has no list `people`, or a person lacks an id.
    """
    if not path.is_file():
        return ()
    content = _read_json(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise FrameFolderError(f'{path} has no list `people`: write {{"people": [{{"id": 1, ...}}]}}')
    for person in people:
        _entry_id(path, person)
    return tuple(MappingProxyType(person) for person in people)


def _entry_id(path: Path, entry: Any) -> int:
    instance_id = entry.get("id") if isinstance(entry, dict) else None
    if (
        not isinstance(instance_id, int)
        or isinstance(instance_id, bool)
        or not 0 < instance_id <= _LARGEST_ID
    ):
        raise FrameFolderError(
            f"{path} has an entry with id {instance_id!r}: give its value in labels.png, 1 to 65535"
        )
    return instance_id


def _rigid(matrix: Any) -> Similarity:
    """A rigid (4, 4) pose as people write it, with few digits.

    Raises:
        ValueError: the matrix scales, mirrors or shears.
    """
    pose = Similarity.from_matrix(matrix)
    if not np.allclose(pose.scale, 1.0, atol=_RIGID_TOLERANCE):
        raise ValueError(
            f"the pose scales by {np.round(pose.scale, 4).tolist()}: give a rigid 4x4 matrix in metres"
        )
    return pose.rigid()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FrameFolderError(f"{path} cannot be read ({_one_line(error)}): repair the JSON") from error


def _decode_image(path: Path, flags: int) -> NDArray[Any]:
    try:
        return _picture_file(path).decoded(flags)
    except PictureError as error:
        raise _damaged(path, error) from error


def _picture_file(path: Path) -> PictureFile:
    try:
        return picture_file(path.read_bytes())
    except OSError as error:
        raise FrameFolderError(f"{path} cannot be read ({_one_line(error)}): check the file") from error
    except PictureError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: PictureError) -> FrameFolderError:
    return FrameFolderError(f"{path} {_one_line(error)}: copy or export it again")


def _expect_size(path: Path, image: NDArray[Any], size: tuple[int, int]) -> None:
    if image.shape[:2] != size:
        raise FrameFolderError(
            f"{path} is {image.shape[1]}x{image.shape[0]} but the colour image is {size[1]}x{size[0]}: "
            "give both at one size, pixel for pixel"
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
