"""Random messages, sound or with a defect that is planted on purpose, so that it is known how each must end."""

from __future__ import annotations

import array
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from fuzzed_people import draw_boxes, draw_keypoints
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField, RegionOfInterest

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.ros.faults import Fault
from sam3d_ros.ros.frame_assembler import Input

#: Of the sound messages, and of the image that boxes and keypoints are in.
CAMERA = Camera(32, 24, 40.0, 40.0, 15.5, 11.5)

#: Encoding -> type of a sample, samples of a pixel, by input.
ENCODINGS: dict[Input, dict[str, tuple[str, int]]] = {
    Input.IMAGE: {
        "rgb8": ("u1", 3),
        "bgr8": ("u1", 3),
        "rgba8": ("u1", 4),
        "bgra8": ("u1", 4),
        "8UC3": ("u1", 3),
        "mono8": ("u1", 1),
        "8UC1": ("u1", 1),
        "mono16": ("u2", 1),
        "bayer_rggb8": ("u1", 1),
        "bayer_gbrg16": ("u2", 1),
        "yuv422": ("u1", 2),
        "yuv422_yuy2": ("u1", 2),
        "uyvy": ("u1", 2),
        "yuyv": ("u1", 2),
        "8UC4": ("u1", 4),
        "rgb16": ("u2", 3),
        "16UC3": ("u2", 3),
        "bgra16": ("u2", 4),
    },
    Input.LABELS: {
        "mono8": ("u1", 1),
        "8UC1": ("u1", 1),
        "mono16": ("u2", 1),
        "16UC1": ("u2", 1),
        "16SC1": ("i2", 1),
        "32SC1": ("i4", 1),
    },
    Input.DEPTH: {
        "16UC1": ("u2", 1),
        "mono16": ("u2", 1),
        "16SC1": ("i2", 1),
        "32FC1": ("f4", 1),
        "64FC1": ("f8", 1),
    },
}
#: Of two planes: bytes for each pixel.
PLANES = {"nv12": 1.5, "nv21": 1.5, "nv24": 3.0}
NO_ENCODINGS = ("", "hsv8", "RGB8", "rgb8 ", "64FC9", "é", "bayer_xxxx8", "32FC", "16SC2", "nv16")
DAMAGED = frozenset({Fault.TRUNCATED_DATA, Fault.CORRUPT_DATA, Fault.UNKNOWN_ENCODING})
#: A message of which only this is known: it is refused with a name, or accepted.
UNKNOWN_END = frozenset(Fault) | {None}


@dataclass(frozen=True)
class Fuzzed:
    """A message and how its decoding must end.

    Attributes:
        kind: the input that it is for.
        message: the message.
        ends: the faults that it may be refused with; None among them = it may be accepted.
        defect: what is wrong with it, for the table.
    """

    kind: Input
    message: Any
    ends: frozenset[Fault | None]
    defect: str


@dataclass
class Fuzzer:
    """Draws messages.

    Attributes:
        seed: of the random numbers; the same seed gives the same messages.
    """

    seed: int
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        rng = self.rng
        picture = cv2.GaussianBlur(rng.integers(0, 256, (24, 32, 3), np.uint8), (5, 5), 2)
        self._files = [cv2.imencode(extension, picture)[1].tobytes() for extension in (".jpg", ".png")]
        samples = rng.integers(0, 65536, (24, 32)).astype(np.uint16)
        self._depth_file = cv2.imencode(".png", samples)[1].tobytes()
        labels = rng.integers(0, 9, (24, 32)).astype(np.uint8)
        self._label_files = [
            cv2.imencode(".png", labels.astype(kind))[1].tobytes() for kind in (np.uint8, np.uint16)
        ]
        self._lossy_labels = cv2.imencode(".jpg", labels)[1].tobytes()

    def draw(self) -> Fuzzed:
        """A message of a random input, sound in about one of three cases."""
        makers: tuple[Callable[[], Fuzzed], ...] = (
            lambda: self._image(Input.IMAGE),
            lambda: self._image(Input.LABELS),
            lambda: self._image(Input.DEPTH),
            self._planes,
            self._strange_labels,
            self._compressed_image,
            self._compressed_labels,
            self._compressed_depth,
            self._camera_info,
            self._cloud,
            lambda: Fuzzed(Input.DETECTIONS, *draw_boxes(self.rng, CAMERA)),
            lambda: Fuzzed(Input.KEYPOINTS, *draw_keypoints(self.rng, CAMERA)),
        )
        return makers[self.rng.integers(len(makers))]()

    def _image(self, kind: Input) -> Fuzzed:
        rng = self.rng
        encoding = str(rng.choice(sorted(ENCODINGS[kind])))
        dtype, channels = ENCODINGS[kind][encoding]
        height, width = (int(n) for n in rng.integers(3, 40, 2))
        width += width % 2
        row = width * channels * np.dtype(dtype).itemsize
        step = row + int(rng.integers(0, 9))
        content = rng.bytes(height * step)
        if dtype == "i4":  # ids of signed labels that fit
            content = rng.integers(-9, 65536, (height, step // 4 + 1), dtype="<i4").tobytes()[: height * step]
            step -= step % 4  # rows of whole numbers, so that every sample is one of them
            content = content[: height * step]
        message = Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=0)
        if dtype != "i4":
            message.is_bigendian = int(rng.integers(0, 2))
        ends: frozenset[Fault | None] = frozenset({None})
        defect = str(
            rng.choice(["none", "none", "encoding", "truncated", "surplus", "step", "empty", "huge", "label"])
        )
        if defect == "encoding":
            message.encoding, ends = str(rng.choice(NO_ENCODINGS)), frozenset({Fault.UNKNOWN_ENCODING})
        elif defect == "truncated":
            needed = step * (height - 1) + row
            content, ends = content[: int(rng.integers(0, needed))], frozenset({Fault.TRUNCATED_DATA})
        elif defect == "surplus":
            content += rng.bytes(int(rng.integers(1, 3 * step)))
            ends = frozenset({Fault.SIZE_MISMATCH})
        elif defect == "step":
            message.step, ends = int(rng.integers(0, row)), frozenset({Fault.SIZE_MISMATCH})
        elif defect == "empty":
            setattr(message, str(rng.choice(["height", "width"])), 0)
            ends = frozenset({Fault.SIZE_MISMATCH})
        elif defect == "huge":
            setattr(message, str(rng.choice(["height", "width"])), int(rng.integers(10**6, 2**32)))
            ends = frozenset({Fault.SIZE_MISMATCH, Fault.TRUNCATED_DATA})
        elif defect == "label" and encoding == "32SC1":
            content = struct.pack("<i", int(rng.integers(65536, 2**31))) + content[4:]
            ends = frozenset({Fault.LABEL_OUT_OF_RANGE})
        else:
            defect = "none"
        message.data = array.array("B", content)
        return Fuzzed(kind, message, ends, f"image: {defect}")

    def _planes(self) -> Fuzzed:
        """A semi-planar image: its data ends with its last row."""
        rng = self.rng
        encoding = str(rng.choice(sorted(PLANES)))
        height, width = (2 * int(n) for n in rng.integers(2, 20, 2))
        needed = int(height * width * PLANES[encoding])
        message = Image(height=height, width=width, encoding=encoding, step=width)
        ends: frozenset[Fault | None] = frozenset({None})
        defect = str(rng.choice(["none", "none", "truncated", "surplus", "step", "odd"]))
        content = rng.bytes(needed)
        if defect == "truncated":
            content, ends = content[: int(rng.integers(0, needed))], frozenset({Fault.TRUNCATED_DATA})
        elif defect == "surplus":
            content, ends = content + b"\0" * int(rng.integers(1, 99)), frozenset({Fault.SIZE_MISMATCH})
        elif defect == "step":
            message.step, ends = int(rng.integers(0, width)), frozenset({Fault.SIZE_MISMATCH})
        elif defect == "odd":
            message.width -= 1
            # Only where pixels share colours has an odd width no meaning; elsewhere it leaves a byte of padding.
            ends = frozenset({None if encoding == "nv24" else Fault.SIZE_MISMATCH})
        message.data = array.array("B", content)
        return Fuzzed(Input.IMAGE, message, ends, f"planes: {defect}")

    def _strange_labels(self) -> Fuzzed:
        """Ids as floats or as colours, which are ids where every pixel is a whole number or grey."""
        rng = self.rng
        ids = rng.integers(0, 99, (24, 32))
        encoding = "32FC1"
        pixels: NDArray[Any] = ids.astype(np.float32)
        ends: frozenset[Fault | None] = frozenset({None})
        defect = str(
            rng.choice(["whole floats", "no numbers", "fractions", "huge", "grey", "colours", "signed"])
        )
        place = tuple(int(n) for n in rng.integers(0, 24, 2))
        if defect == "no numbers":
            pixels[place] = float(rng.choice([np.nan, np.inf]))
            ends = frozenset({Fault.LABEL_OUT_OF_RANGE})
        elif defect == "fractions":
            pixels[place] = float(rng.choice([0.5, 1e-30, -2.5]))
            ends = frozenset({Fault.LABEL_OUT_OF_RANGE})
        elif defect == "huge":
            pixels[place] = float(rng.choice([65536.0, 3e38]))
            ends = frozenset({Fault.LABEL_OUT_OF_RANGE})
        elif defect in ("grey", "colours"):
            encoding, colours = (
                str(rng.choice(["rgb8", "bgr8", "8UC3"])),
                np.dstack([ids] * 3).astype(np.uint8),
            )
            if defect == "colours":
                colours[place] = (1, 2, 3)
                ends = frozenset({Fault.UNKNOWN_ENCODING})
            pixels = colours
        elif defect == "signed":
            encoding, pixels = "8SC1", (ids - 50).astype(np.int8)
        message = Image(height=24, width=32, encoding=encoding, step=pixels[0].nbytes)
        message.data = array.array("B", pixels.tobytes())
        return Fuzzed(Input.LABELS, message, ends, f"labels: {defect}")

    def _compressed_labels(self) -> Fuzzed:
        content, ends, defect = self._damaged(self._label_files[self.rng.integers(2)])
        if self.rng.random() < 0.2:
            content, ends, defect = self._lossy_labels, frozenset({Fault.UNKNOWN_ENCODING}), "lossy"
        image_format = str(self.rng.choice(["png", "", "mono8; png compressed ", "é"]))
        message = CompressedImage(format=image_format, data=content)
        return Fuzzed(Input.LABELS, message, ends, f"compressed labels: {defect}")

    def _compressed_image(self) -> Fuzzed:
        content, ends, defect = self._damaged(self._files[self.rng.integers(len(self._files))])
        image_format = str(self.rng.choice(["jpeg", "png", "", "rgb8; jpeg compressed bgr8", "é"]))
        return Fuzzed(
            Input.IMAGE,
            CompressedImage(format=image_format, data=content),
            ends,
            f"compressed image: {defect}",
        )

    def _compressed_depth(self) -> Fuzzed:
        rng = self.rng
        image_format = str(rng.choice(["16UC1", "32FC1"])) + "; compressedDepth png"
        header = struct.pack("<iff", 1, 10100.0, -1009.0)
        content, ends, defect = self._damaged(self._depth_file)
        content = header + content
        kind = rng.random()
        if kind < 0.1:
            image_format, ends, defect = "16UC1; png", frozenset({Fault.UNKNOWN_ENCODING}), "format"
        elif kind < 0.2:
            content, ends, defect = content[: int(rng.integers(0, 13))], DAMAGED, "header"
        elif kind < 0.4:
            image_format, ends, defect = "16UC1; compressedDepth rvl", UNKNOWN_END, "random rvl"
            content = (
                header + struct.pack("<ii", *rng.integers(-2, 90, 2)) + rng.bytes(int(rng.integers(0, 90)))
            )
        elif kind < 0.5:
            image_format = "32FC1; compressedDepth png"
            header = struct.pack("<iff", 1, float(rng.choice([0.0, -1.0, np.nan, np.inf])), 0.0)
            content, ends, defect = header + self._depth_file, frozenset({Fault.CORRUPT_DATA}), "quantisation"
        return Fuzzed(
            Input.DEPTH,
            CompressedImage(format=image_format, data=content),
            ends,
            f"compressed depth: {defect}",
        )

    def _damaged(self, whole: bytes) -> tuple[bytes, frozenset[Fault | None], str]:
        rng = self.rng
        kind = rng.random()
        if kind < 0.3:
            return whole, frozenset({None}), "none"
        if kind < 0.4:
            return whole + rng.bytes(int(rng.integers(0, 3000))), frozenset({None}), "padded"
        if kind < 0.6:
            return whole[: int(rng.integers(0, len(whole) - 12))], DAMAGED, "truncated"
        if kind < 0.8:
            flipped = bytearray(whole)
            for place in rng.integers(0, len(whole), int(rng.integers(1, 20))):
                flipped[place] ^= 1 << int(rng.integers(8))
            return bytes(flipped), UNKNOWN_END, "flipped bits"
        return rng.bytes(int(rng.integers(0, 300))), DAMAGED, "random bytes"

    def _camera_info(self) -> Fuzzed:
        rng = self.rng
        message = CameraInfo(
            width=32, height=24, distortion_model="plumb_bob", d=[0.1, -0.05, 0.001, 0.0, 0.0]
        )
        message.k = [40.0, 0.0, 15.5, 0.0, 41.0, 11.5, 0.0, 0.0, 1.0]
        ends: frozenset[Fault | None] = frozenset({None})
        defect = str(rng.choice(["none", "uncalibrated", "not finite", "model", "region", "size", "random"]))
        if defect == "uncalibrated":
            message.k[0] = 0.0
            ends = frozenset({Fault.UNCALIBRATED_CAMERA})
        elif defect == "not finite":
            message.k[int(rng.choice([0, 2, 4, 5]))] = float(rng.choice([np.nan, np.inf, -np.inf]))
            ends = frozenset({Fault.UNCALIBRATED_CAMERA})
        elif defect == "model":
            message.distortion_model = str(rng.choice(["thin_prism", "é", "ftheta"]))
            ends = frozenset({Fault.UNKNOWN_DISTORTION})
        elif defect == "region":
            offset = int(rng.integers(1, 2**32))
            message.roi = RegionOfInterest(x_offset=offset, width=32, height=24)
            ends = frozenset({Fault.SIZE_MISMATCH})
        elif defect == "size":
            message.binning_x = int(rng.integers(33, 2**32))
            ends = frozenset({Fault.UNCALIBRATED_CAMERA})
        elif defect == "random":
            message.k = np.exp(rng.normal(0, 30, 9)) * rng.choice([-1, 1], 9)
            message.d = rng.normal(0, 10.0 ** rng.integers(-3, 9), int(rng.integers(0, 15))).tolist()
            message.distortion_model = str(rng.choice(["plumb_bob", "rational_polynomial", "equidistant"]))
            ends = UNKNOWN_END
        return Fuzzed(Input.CAMERA_INFO, message, ends, f"camera_info: {defect}")

    def _cloud(self) -> Fuzzed:
        rng = self.rng
        names = [*rng.permutation(["x", "y", "z"]), "intensity"]
        wide = bool(rng.random() < 0.2)
        size, datatype = (8, PointField.FLOAT64) if wide else (4, PointField.FLOAT32)
        fields = [
            PointField(name=str(name), offset=i * size, datatype=datatype, count=1)
            for i, name in enumerate(names)
        ]
        point_step = 4 * size + int(rng.integers(0, 5))
        height, width = int(rng.integers(1, 4)), int(rng.integers(1, 60))
        row_step = point_step * width + int(rng.integers(0, 9))
        message = PointCloud2(
            height=height,
            width=width,
            fields=fields,
            point_step=point_step,
            row_step=row_step,
            is_bigendian=bool(rng.random() < 0.3),
        )
        content = rng.bytes(height * row_step)  # among them NaN, Inf and denormal numbers
        ends: frozenset[Fault | None] = frozenset({None})
        defect = str(
            rng.choice(["none", "none", "fields", "datatype", "offset", "truncated", "surplus", "huge"])
        )
        if defect == "fields":
            message.fields, ends = fields[: int(rng.integers(0, 3))], frozenset({Fault.MISSING_FIELDS})
        elif defect == "datatype":
            fields[names.index("y")].datatype = int(rng.choice([0, 1, 5, 99]))
            ends = frozenset({Fault.MISSING_FIELDS})
        elif defect == "offset":
            fields[names.index("z")].offset = int(rng.integers(point_step - size + 1, 2**32))
            ends = frozenset({Fault.SIZE_MISMATCH})
        elif defect == "truncated":
            needed = row_step * (height - 1) + point_step * width
            content, ends = content[: int(rng.integers(0, needed))], frozenset({Fault.TRUNCATED_DATA})
        elif defect == "huge":
            setattr(message, str(rng.choice(["height", "width"])), int(rng.integers(10**6, 2**32)))
            ends = frozenset({Fault.SIZE_MISMATCH, Fault.TRUNCATED_DATA})
        elif defect == "surplus":
            content += rng.bytes(int(rng.integers(1, 3 * row_step)))
            ends = frozenset({Fault.SIZE_MISMATCH})
        message.data = array.array("B", content)
        return Fuzzed(Input.POINTS, message, ends, f"cloud: {defect}")
