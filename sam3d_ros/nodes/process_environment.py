"""The environment that a process of perception runs best in; the launch file sets it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: From this size on, glibc gives memory back to the system as soon as it is free; bytes. Below an image of 640x480, so
#: that none of them leaves a hole in the heap, and above the masks, which come and go by the dozen: each return costs
#: new pages.
_LARGE = 1 << 19

PROCESS_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        # The matrices are small: threads of BLAS only take the cores away from each other. A new object comes in
        # half the time on two cores.
        "OPENBLAS_NUM_THREADS": "1",
        # Images are megabytes that come and go in several threads. Given back at once, and taken from few arenas,
        # they leave no holes: the memory of the process stays flat.
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": str(_LARGE),
        "MALLOC_TRIM_THRESHOLD_": str(_LARGE),
    }
)
