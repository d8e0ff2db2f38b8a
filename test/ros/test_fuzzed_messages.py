"""Thousands of fuzzed messages: none crashes, each ends as its planted defect demands, sound ones get through."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "bench_fuzz_messages.py"


@pytest.mark.timeout(300)  # seven seconds on an idle machine
def test_three_thousand_messages():
    run = subprocess.run(
        [sys.executable, "-W", "error", str(BENCHMARK), "--messages", "3000", "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert "ended otherwise than planted: 0" in run.stdout
    assert int(re.search(r"sound sets that became frames: (\d+)", run.stdout)[1]) == 600
    # The way to frames was really gone, with labels and with boxes, and with each kind of points.
    streams = re.findall(r"^  frames: (.*)", run.stdout, re.MULTILINE)
    assert len(streams) == 2
    for stream in streams:
        frames = dict(re.findall(r"(\w[\w ]*?) (\d+)(?:,|$)", stream))
        for source in ("depth", "lidar", "none"):
            assert int(frames[f"built with points from {source}"]) > 30
    # Every kind of defect came up, and every name of a refusal.
    for name in (
        "unknown_encoding",
        "truncated_data",
        "corrupt_data",
        "size_mismatch",
        "missing_fields",
        "label_out_of_range",
        "uncalibrated_camera",
        "unknown_distortion",
    ):
        assert re.search(rf"^\S.*\s{name}\s+\d+$", run.stdout, re.MULTILINE), f"nothing was refused as {name}"
    # Memory does not grow: the blocks that Python holds stay as many, up to what the queues hold.
    blocks = [
        float(line.split()[-1])
        for line in re.findall(r"^ +\d+ +\d+ +[\d.]+ +[\d.]+$", run.stdout, re.MULTILINE)
    ]
    assert len(blocks) == 10
    assert blocks[-1] < 1.02 * blocks[0]
