"""What happens where memory is short."""

from __future__ import annotations

import pytest
import torch

from sam3d_ros.models.batches import first_that_fits, in_batches
from sam3d_ros.models.devices import full_float32, is_out_of_memory

FULL = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory"),
)


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:20])
def test_batches_shrink_where_memory_runs_out(error):
    assert is_out_of_memory(error)
    done: list[int] = []
    tried: list[int] = []

    def run(chosen: slice) -> None:
        tried.append(chosen.stop - chosen.start)
        if chosen.stop - chosen.start > 2:
            raise error
        done.extend(range(chosen.start, chosen.stop))

    in_batches(7, 5, run)
    assert done == list(range(7))
    assert tried == [5, 3, 2, 2, 2, 1]

    def hopeless(chosen: slice) -> None:
        raise error

    with pytest.raises(RuntimeError) as caught:
        in_batches(2, 2, hopeless)
    assert caught.value is error


def test_other_errors_end_the_work_at_once():
    def failing(chosen: slice) -> None:
        tried.append(chosen)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    tried: list[slice] = []
    with pytest.raises(RuntimeError, match="illegal"):
        in_batches(4, 4, failing)
    assert len(tried) == 1


def test_the_first_attempt_that_fits_is_taken():
    def full() -> str:
        tried.append("full")
        raise FULL[1]

    tried: list[str] = []
    assert first_that_fits([full, full, lambda: "small"]) == "small"
    assert tried == ["full", "full"]
    with pytest.raises(RuntimeError, match="ALLOC_FAILED"):
        first_that_fits([full])
    assert first_that_fits([lambda: "large", full]) == "large"


def test_full_float32_holds_until_its_last_holder_leaves():
    before = torch.backends.cudnn.allow_tf32
    first, second = full_float32(), full_float32()
    first.__enter__()
    second.__enter__()
    assert not torch.backends.cudnn.allow_tf32
    first.__exit__(None, None, None)
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    second.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32 == before
