"""Runs command lines in tests: in this process where that saves seconds, or as a user does."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from sam3d_ros.cli.main import main


@dataclass(frozen=True)
class Done:
    """What a command line left behind."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Done:
    """Run a command line in this process, which has imported PyTorch already."""
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # of the parser
            code = int(ended.code or 0)
    return Done(code, out.getvalue(), errors.getvalue())


def run_process(*arguments: object) -> Done:
    """Run a command line as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "sam3d_ros.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def refused(done: Done, message: str) -> None:
    """Exit code 2 and one line."""
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
