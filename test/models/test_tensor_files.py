"""Tensors of files come back as they were written, and reading them leaves nothing behind."""

from __future__ import annotations

import gc
import json
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save_file

from sam3d_ros.models.tensor_files import read_tensors

DTYPES = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
    torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2,
)  # fmt: skip
SHAPES = st.lists(st.integers(0, 4), max_size=3)


@given(kinds=st.lists(st.tuples(st.sampled_from(DTYPES), SHAPES), max_size=6), seed=st.integers(0, 99))
def test_what_was_written_is_read(tmp_path_factory, kinds, seed):
    path = tmp_path_factory.mktemp("tensors") / "file.safetensors"
    generator = torch.Generator().manual_seed(seed)
    written = {
        f"layer.{i}": (8 * torch.randn(shape, generator=generator)).to(dtype)
        for i, (dtype, shape) in enumerate(kinds)
    }
    save_file(written, path, metadata={"format": "pt"})
    read = read_tensors(path)
    assert read.keys() == written.keys()
    for name, value in written.items():
        assert read[name].dtype == value.dtype and read[name].shape == value.shape
        assert torch.equal(
            read[name].contiguous().view(-1).view(torch.uint8), value.view(-1).view(torch.uint8)
        )


def test_tensors_that_are_not_aligned(tmp_path):
    """Other writers put a tensor where the one before ends."""
    header = {
        "byte": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "real": {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]},
    }
    text = json.dumps(header).encode()
    values = torch.tensor([1.5, -2.0])
    content = len(text).to_bytes(8, "little") + text + b"\x07" + values.numpy().tobytes()
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    read = read_tensors(path)
    assert read["byte"].tolist() == [7] and torch.equal(read["real"], values)


def test_writing_to_a_tensor_does_not_change_the_file(tmp_path):
    path = tmp_path / "file.safetensors"
    save_file({"x": torch.ones(3)}, path)
    read_tensors(path)["x"].zero_()
    assert read_tensors(path)["x"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "harm", [lambda b: b[:-1], lambda b: b[:4], lambda b: b"\xff" * 8 + b[8:], lambda b: b""]
)
def test_a_damaged_file_is_named_so(tmp_path, harm):
    path = tmp_path / "file.safetensors"
    save_file({"x": torch.ones(3)}, path)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(SafetensorError):
        read_tensors(path)


def test_reading_again_and_again_leaves_nothing_behind(tmp_path):
    path = tmp_path / "file.safetensors"
    save_file({f"x.{i}": torch.ones(3, 70000) for i in range(20)}, path)

    def blocks_after(times: int) -> int:
        for _ in range(times):
            read_tensors(path)
        gc.collect()
        return sys.getallocatedblocks()

    before = blocks_after(3)
    assert blocks_after(50) - before < 100  # two for each tensor and time would be 2000
