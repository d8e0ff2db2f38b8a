"""What becomes of the output of a process."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from types import SimpleNamespace

from launch.child_process import STDERR, STDOUT
from launch.logging import get_output_loggers
from launch.logging.output_loggers import OutputConfig

_OVERRIDE = "OVERRIDE_LAUNCH_PROCESS_OUTPUT"


class ProcessOutput:
    """Logs the output of a process line by line, and keeps it if asked to.

    Args:
        process_name: unique name of the process.
        output: where the lines go, see ``get_output_loggers``.
        output_format: format of a line, with ``{line}`` and ``{this.process_description.final_name}``.
        cached: keep all of it.
        environment: where OVERRIDE_LAUNCH_PROCESS_OUTPUT would change ``output``.
    """

    def __init__(
        self,
        process_name: str,
        output: str | OutputConfig,
        *,
        output_format: str,
        cached: bool,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        out, err = get_output_loggers(process_name, environment.get(_OVERRIDE, output))
        self._loggers: dict[int, logging.Logger] = {STDOUT: out, STDERR: err}
        self._name = process_name
        self._format = output_format
        self._this = SimpleNamespace(process_description=SimpleNamespace(final_name=process_name))
        self._partial = {STDOUT: b"", STDERR: b""}
        self._cached = cached
        self._cache: list[tuple[int, bytes]] = []

    def write(self, fd: int, data: bytes) -> None:
        """Take output; lines that have ended are logged."""
        if self._cached:
            self._cache.append((fd, data))
        *lines, self._partial[fd] = (self._partial[fd] + data).split(b"\n")
        for line in lines:
            self._log(fd, line)

    def flush(self) -> None:
        """Log the lines that have not ended."""
        for fd, line in self._partial.items():
            if line:
                self._log(fd, line)
            self._partial[fd] = b""

    def text(self, *streams: int) -> str:
        """Return all output of the streams as it came; RuntimeError where it is not kept."""
        if not self._cached:
            raise RuntimeError(f"cached output must be true to get the output of process '{self._name}'")
        return b"".join(data for fd, data in self._cache if fd in streams).decode(errors="replace")

    def _log(self, fd: int, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._loggers[fd].info(self._format.format(line=text, this=self._this))
