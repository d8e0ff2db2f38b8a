"""What a process takes: processor time, page faults and memory, as the kernel counts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 2**20
#: Places of counters among the fields of /proc/PID/stat behind the name of the process (proc_pid_stat(5)).
_MINOR_FAULTS, _USER_TIME, _SYSTEM_TIME = 7, 11, 12


@dataclass(frozen=True)
class ProcessUse:
    """Counters of a process since its start, all its threads together and without its children.

    Attributes:
        minor_faults: pages that were new to it, or came back, without being read from a disk.
        user, system: processor time in its own code and in the kernel, milliseconds. Their sum is exact, what is whose
            is sampled.
    """

    minor_faults: float
    user: float
    system: float

    @staticmethod
    def read(pid: int) -> ProcessUse:
        """The counters now."""
        # The name is in parentheses and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        tick = 1e3 / os.sysconf("SC_CLK_TCK")
        return ProcessUse(
            float(fields[_MINOR_FAULTS]), float(fields[_USER_TIME]) * tick, float(fields[_SYSTEM_TIME]) * tick
        )

    def since(self, earlier: ProcessUse) -> ProcessUse:
        """What has been taken since an earlier reading."""
        return ProcessUse(
            self.minor_faults - earlier.minor_faults, self.user - earlier.user, self.system - earlier.system
        )


def resident(pid: int) -> float:
    """Resident memory of a process, MiB, without the shared memory of the transport."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return (int(fields["RssAnon"].split()[0]) + int(fields["RssFile"].split()[0])) * 1024 / MEBIBYTE
