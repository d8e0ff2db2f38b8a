"""The environment that a process of perception runs best in; the launch file sets it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_MEBIBYTE = 1 << 20

PROCESS_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        # The matrices are small: threads of BLAS only take the cores away from each other. A new object comes in
        # half the time on two cores.
        "OPENBLAS_NUM_THREADS": "1",
        # Images are megabytes that come and go in several threads. glibc would map each anew, and the first touch of
        # every page of it costs a fault, much of which passes while the interpreter is held. Kept in the heap instead,
        # up to the point map of a 1080p image, and taken from few arenas, the same pages serve image after image.
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": str(32 * _MEBIBYTE),
        "MALLOC_TRIM_THRESHOLD_": str(256 * _MEBIBYTE),
        "MALLOC_TOP_PAD_": str(32 * _MEBIBYTE),
    }
)
