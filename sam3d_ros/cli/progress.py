"""Progress of a slow verb, on stderr: one moving line on a terminal, one line a step elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

_BAR = 24


class ProgressLine:
    """Shows how far the work is; use as a context, so that the terminal is left clean.

    Args:
        total: number of steps.
        stream: where to.
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._moving:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def update(self, done: int, share: float, text: str) -> None:
        """Within a step: `done` steps are complete, and this share of the next one."""
        if self._moving:
            whole = (done + min(max(share, 0.0), 1.0)) / max(1, self._total)
            filled = round(_BAR * whole)
            bar = "█" * filled + "░" * (_BAR - filled)
            self._stream.write(f"\r\x1b[K{bar} {100 * whole:3.0f} %  {text}")
            self._stream.flush()

    def finish(self, done: int, text: str) -> None:
        """A step is complete: `done` of them by now."""
        if self._moving:
            self.update(done, 0.0, text)
        else:
            print(f"[{done}/{self._total}] {text}", file=self._stream, flush=True)
