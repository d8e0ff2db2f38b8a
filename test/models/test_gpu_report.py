"""The report on a GPU, made on the processor at tiny size: every part of it is there, and none takes another down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The figures are made by networks of a tiny size; what takes time is that each section is a process of its own.
pytestmark = pytest.mark.timeout(900)


def report(folder: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [
            str(ROOT / "benchmarks" / "gpu.sh"),
            "--out",
            str(folder),
            "--size",
            "tiny",
            "--minutes",
            "60",
            *options,
        ],
        env={**os.environ, "PYTHON": sys.executable, "SAM3D_WHEELS": str(folder / "no_wheels")},
        capture_output=True,
        text=True,
    )
    assert (folder / "report.json").is_file(), done.stdout + done.stderr
    record = json.loads((folder / "report.json").read_text())
    return done.returncode, record["sections"], (folder / "report.md").read_text()


def test_a_report_on_the_processor(tmp_path):
    names = ["machine", "graphs", "drills", "parity-float32"]
    code, sections, text = report(
        tmp_path, "--device", "cpu", "--sections", *names, "--parity-tests", "objects/test_structure.py"
    )
    faults = {name: section["fault"] for name, section in sections.items()}
    assert code == 0 and not any(faults.values()), faults
    assert list(sections) == names and all(sections[name]["rows"] for name in names)
    breaks = {row[0]: row[1] for row in sections["graphs"]["rows"]}
    assert [breaks[name] for name in ("dinov3 encoder", "vith encoder", "body decoder", "hand decoder")] == [
        0
    ] * 4
    assert [row[-1] for row in sections["parity-float32"]["rows"]] == ["passed", "passed"]
    assert "## Parity in float32" in text and "| body decoder |" in text


def test_a_section_that_fails_takes_none_with_it(tmp_path):
    code, sections, text = report(tmp_path, "--device", "xpu:7", "--sections", "machine", "drills")
    assert code == 1 and list(sections) == ["machine", "drills"]
    assert all("ended with" in section["fault"] for section in sections.values())
    assert [row[0] for row in sections["machine"]["rows"]] == ["processor", "Python, PyTorch"]
    assert "**ended with" in text
