"""Conversion between image messages and OpenCV arrays."""

from __future__ import annotations

import array
import sys

import cv2
import numpy as np
import sensor_msgs.msg
from std_msgs.msg import Header

from cv_bridge._encodings import CvBridgeError, convert_color, dtype_and_channels

_BIG_ENDIAN_HOST = sys.byteorder == "big"


class CvBridge:
    """Converts image messages to arrays and back.

    Arrays are (H, W) for one channel and (H, W, C) otherwise, in the byte order of this machine.
    """

    def __init__(self) -> None:
        self.numpy_type_to_cvtype: dict[str, str] = {
            "uint8": "8U",
            "int8": "8S",
            "uint16": "16U",
            "int16": "16S",
            "int32": "32S",
            "float32": "32F",
            "float64": "64F",
        }
        self.cvtype_to_name = {
            f"{depth}C{channels}": f"{depth}C{channels}"
            for depth in self.numpy_type_to_cvtype.values()
            for channels in (1, 2, 3, 4)
        }

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """Return the name of an array's type, such as 8UC3."""
        return f"{self.numpy_type_to_cvtype[np.dtype(dtype).name]}C{n_channels}"

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """Return the dtype's name and the number of channels of an encoding."""
        return dtype_and_channels(encoding)

    def encoding_to_cvtype2(self, encoding: str) -> str:
        """Return the array type that an encoding is stored in, such as 8UC3."""
        dtype, channels = dtype_and_channels(encoding)
        return self.dtype_with_channels_to_cvtype2(np.dtype(dtype), channels)

    def imgmsg_to_cv2(
        self, img_msg: sensor_msgs.msg.Image, desired_encoding: str = "passthrough"
    ) -> np.ndarray:
        """Convert an image message to an array.

        Args:
            img_msg: the message; row padding and byte order are honoured.
            desired_encoding: what to convert the colours to; `passthrough` leaves them.

        Raises:
            CvBridgeError: an encoding is unknown, the conversion makes no sense, or the data is too short.
        """
        name, channels = dtype_and_channels(img_msg.encoding)
        dtype = np.dtype(name).newbyteorder(">" if img_msg.is_bigendian else "<")
        pixel = dtype.itemsize * channels
        if img_msg.step < img_msg.width * pixel or len(img_msg.data) < img_msg.step * img_msg.height:
            raise CvBridgeError(
                f"{img_msg.encoding} image of {img_msg.width}x{img_msg.height} with step {img_msg.step} has "
                f"{len(img_msg.data)} bytes of data: too few"
            )
        shape: tuple[int, ...] = (img_msg.height, img_msg.width)
        strides: tuple[int, ...] = (img_msg.step, pixel)
        if channels > 1:
            shape, strides = (*shape, channels), (*strides, dtype.itemsize)
        view = np.ndarray(shape, dtype, img_msg.data, strides=strides)
        image = np.ascontiguousarray(view, dtype.newbyteorder("="))
        if desired_encoding == "passthrough":
            return image
        return convert_color(image, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(
        self, cvim: np.ndarray, encoding: str = "passthrough", header: Header | None = None
    ) -> sensor_msgs.msg.Image:
        """Convert an array to an image message; nothing but the name of the encoding is added.

        Raises:
            TypeError: the image is no array.
            CvBridgeError: the encoding does not describe an array of this type.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        channels = 1 if cvim.ndim < 3 else cvim.shape[2]
        cv_type = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        if encoding == "passthrough":
            encoding = cv_type
        elif self.encoding_to_cvtype2(encoding) != cv_type:
            raise CvBridgeError(
                f"encoding specified as {encoding}, but image has incompatible type {cv_type}"
            )
        message = sensor_msgs.msg.Image()
        if header is not None:
            message.header = header
        message.height, message.width = cvim.shape[:2]
        message.encoding = encoding
        message.is_bigendian = int(
            cvim.dtype.byteorder == ">" or (cvim.dtype.byteorder == "=" and _BIG_ENDIAN_HOST)
        )
        message.step = cvim.shape[1] * channels * cvim.dtype.itemsize
        message.data = _bytes(cvim)
        return message

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: sensor_msgs.msg.CompressedImage, desired_encoding: str = "passthrough"
    ) -> np.ndarray:
        """Decode a compressed image; three channels come out as bgr8.

        Raises:
            CvBridgeError: the data is no image that OpenCV knows, or the conversion makes no sense.
        """
        data = np.frombuffer(cmprs_img_msg.data, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
        if image is None:
            raise CvBridgeError(
                f"cannot decode {data.size} bytes of a compressed image of format {cmprs_img_msg.format!r}"
            )
        if desired_encoding == "passthrough":
            return image
        return convert_color(image, "bgr8", desired_encoding)

    def cv2_to_compressed_imgmsg(
        self, cvim: np.ndarray, dst_format: str = "jpg"
    ) -> sensor_msgs.msg.CompressedImage:
        """Encode an array in a format that OpenCV writes (jpg, png, ...).

        Raises:
            TypeError: the image is no array.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        _, encoded = cv2.imencode(f".{dst_format}", cvim)
        message = sensor_msgs.msg.CompressedImage()
        message.format = dst_format
        message.data = _bytes(encoded)
        return message


def _bytes(values: np.ndarray) -> array.array[int]:
    """Return the bytes as what a message field takes over without walking through every element."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(values).view(np.uint8).reshape(-1).data)
    return data
