"""What ``source setup.bash`` does on a ROS installation, done by a .pth file at each start of Python."""

from __future__ import annotations

import os
import sys


def activate() -> None:
    """Put this environment first on AMENT_PREFIX_PATH and its ``bin`` on PATH, unless they are on them already.

    The ROS 2 wheels set neither: without the first no package is found, without the second a package's executables
    (``#!/usr/bin/env python3``) run on another interpreter. Child processes inherit both.
    """
    _put_first("AMENT_PREFIX_PATH", sys.prefix)
    _put_first("PATH", f"{sys.prefix}/bin")


def _put_first(variable: str, folder: str) -> None:
    folders = [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry]
    if folder not in folders:
        os.environ[variable] = os.pathsep.join([folder, *folders])
