"""Masks in files of any kind: ids as they are stored, or refused in one line where they cannot be told."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sam3d_ros.perception.recorded.frame_files import FrameFolderError, read_labels

WIDTH, HEIGHT = 32, 24
SIZE = (HEIGHT, WIDTH)


def mask(dtype: type) -> np.ndarray:
    """Ids 0, 1 and 3 in blocks."""
    ids = np.zeros((HEIGHT, WIDTH), dtype)
    ids[4:12, 4:12], ids[12:20, 14:28] = 1, 3
    return ids


def grey(values: np.ndarray | int) -> Image.Image:
    return Image.fromarray(np.broadcast_to(np.asarray(values, np.uint8), (HEIGHT, WIDTH)).copy())


def written(image: Image.Image, **options: int) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def encoded(extension: str, picture: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(extension, picture, options)[1].tobytes()


def palette(bits: int) -> bytes:
    """Ids as indices; one of the colours is transparent, and two are the same."""
    image = Image.fromarray((mask(np.uint16) % (1 << bits)).astype(np.uint8), "P")
    image.putpalette([9, 9, 9, 200, 0, 0, 9, 9, 9, 200, 0, 0])
    return written(image, bits=bits, transparency=0)


def packed_grey(bits: int) -> bytes:
    """A PNG of less than a byte a sample, chunk by chunk."""
    ids = (mask(np.uint16) % (1 << bits)).astype(np.uint8)
    digits = (ids[..., None] >> np.arange(bits)[::-1] & 1).reshape(HEIGHT, -1).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(digits, axis=1))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


#: Ways to keep the same ids, and the number of ids that they hold.
MASKS: dict[str, tuple[bytes, int]] = {
    "grey": (encoded(".png", mask(np.uint8)), 256),
    "grey of 16 bits": (encoded(".png", mask(np.uint16)), 65536),
    "equal colours": (encoded(".png", np.dstack([mask(np.uint8)] * 3)), 256),
    "equal colours of 16 bits": (encoded(".png", np.dstack([mask(np.uint16)] * 3)), 65536),
    "opaque colours": (encoded(".png", np.dstack([*[mask(np.uint8)] * 3, grey(255)])), 256),
    "cut-out colours": (encoded(".png", np.dstack([*[mask(np.uint8)] * 3, (mask(np.uint8) > 0) * 255])), 256),
    "opaque grey": (written(Image.merge("LA", (grey(mask(np.uint8)), grey(255)))), 256),
    "grey with a transparent colour": (written(grey(mask(np.uint8)), transparency=0), 256),
    "lossless WebP": (encoded(".webp", mask(np.uint8), cv2.IMWRITE_WEBP_QUALITY, 101), 256),
    **{f"palette of {bits} bits": (palette(bits), 1 << bits) for bits in (1, 2, 4, 8)},
    **{f"grey of {bits} bits": (packed_grey(bits), 1 << bits) for bits in (1, 2, 4, 8)},
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("tail", [0, 1500])
def test_masks_are_read_as_they_are_stored(tmp_path: Path, name: str, tail: int) -> None:
    data, count = MASKS[name]
    path = tmp_path / "labels.png"
    path.write_bytes(data + bytes(tail))
    labels = read_labels(path, SIZE, required=True)
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, mask(int) % count)


def test_a_mask_of_true_and_false_is_instance_1(tmp_path: Path) -> None:
    path = tmp_path / "labels.png"
    path.write_bytes(written(Image.fromarray(mask(np.uint8) > 0)))
    np.testing.assert_array_equal(read_labels(path, SIZE, required=True), mask(np.uint8) > 0)


IDS = mask(np.uint8)
REFUSED = {
    "JPEG": (encoded(".jpg", IDS), "is a lossy JPEG, which changes ids"),
    "lossy WebP": (encoded(".webp", IDS, cv2.IMWRITE_WEBP_QUALITY, 90), "is a lossy WebP, which changes ids"),
    "colours": (encoded(".png", np.dstack([IDS, IDS, IDS // 2])), "colours do not tell ids"),
    "transparency alone": (written(Image.merge("LA", (grey(0), grey(IDS * 85)))), "transparency differs"),
    "half transparent": (written(Image.merge("LA", (grey(IDS), grey(IDS * 9)))), "transparency differs"),
    "TIFF": (encoded(".tiff", IDS), "neither PNG nor JPEG"),
    "cut palette": (palette(8)[:-30], "is a truncated PNG"),
    "another size": (encoded(".png", IDS[:-1]), "is 32x23 but the colour image is 32x24"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_masks_that_tell_no_ids_are_refused_whatever_their_name(tmp_path: Path, name: str) -> None:
    data, reason = REFUSED[name]
    path = tmp_path / "labels.png"
    path.write_bytes(data)
    with pytest.raises(FrameFolderError) as refused:
        read_labels(path, SIZE, required=True)
    text = str(refused.value)
    assert text.startswith(str(path)) and reason in text and "\n" not in text
