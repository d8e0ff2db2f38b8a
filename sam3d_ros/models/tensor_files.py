"""The tensors of a safetensors file.

The library's own readers for PyTorch (0.6 to 0.8) never free two integers of each tensor that they read, so that a
process which loads a network again and again grows by 64 bytes a tensor. Here the library checks the file, and PyTorch
maps it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
# A file begins with the length of its header, a little-endian integer of so many bytes.
_LENGTH_BYTES = 8
_METADATA = "__metadata__"


def read_tensors(path: str | Path, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """All tensors of a file by their names.

    On the CPU they are parts of the mapped file: memory is taken when they are read, and writing to one does not
    change the file.

    Raises:
        SafetensorError: the file is damaged, or has a tensor of a type that PyTorch has not.
        OSError: it cannot be read.
    """
    with safe_open(path, framework="np"):
        pass  # whether header and size are right: what is read below can then be believed
    entries, begin = _header(Path(path))
    size = Path(path).stat().st_size
    content = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
    return {name: _tensor(content[begin:], name, entry).to(device) for name, entry in entries.items()}


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The entries of the tensors, and the byte at which their contents begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        entries = json.loads(file.read(length))
    entries.pop(_METADATA, None)
    return entries, _LENGTH_BYTES + length


def _tensor(content: Tensor, name: str, entry: dict[str, Any]) -> Tensor:
    if entry["dtype"] not in _DTYPES:
        raise SafetensorError(f"{name} is of type {entry['dtype']}, which PyTorch has not")
    dtype, (begin, end) = _DTYPES[entry["dtype"]], entry["data_offsets"]
    values = content[begin:end]
    if values.storage_offset() % dtype.itemsize:
        values = values.clone()  # other writers do not align tensors
    return values.view(dtype).reshape(entry["shape"])
