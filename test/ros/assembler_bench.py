"""An assembler under a clock of the test's own."""

from __future__ import annotations

from sam3d_ros.ros.faults import FaultLog
from sam3d_ros.ros.frame_assembler import AssemblerConfig, FrameAssembler, Input

MS = 1_000_000
PERIOD = 33 * MS


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """An assembler whose messages are tuples of input and stamp."""

    def __init__(self, located_by: Input = Input.LABELS, **config: object) -> None:
        self.clock = Clock()
        self.faults = FaultLog(self.clock)
        self.assembler = FrameAssembler(
            AssemblerConfig(**config), self.faults, self.clock, located_by=located_by
        )

    def add(self, kind: Input, *stamps: int) -> bool:
        return [self.assembler.add(kind, stamp, (kind, stamp)) for stamp in stamps][-1]

    def complete(self, stamp: int, *extra: Input) -> None:
        for kind in (Input.CAMERA_INFO, Input.IMAGE, Input.LABELS, *extra):
            self.add(kind, stamp)

    def take(self):
        return self.assembler.take()


def plain(**config: object) -> Bench:
    return Bench(**({"expect_depth": False} | config))
