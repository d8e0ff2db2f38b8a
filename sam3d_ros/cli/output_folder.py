"""An output folder that appears complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sam3d_ros.cli.errors import InputError


@contextmanager
def output_folder(path: Path, *, is_own: Callable[[str], bool]) -> Iterator[Path]:
    """Give a folder to write into that takes the name `path` when the block ends well.

    The work is done in a hidden sibling, which a failure removes. An earlier result of the same kind is replaced as
    a whole; anything else that stands in the way is left alone.

    Args:
        path: the folder to make; its parents are made too.
        is_own: whether a file name belongs to this kind of result.

    Raises:
        InputError: `path` is something else than an earlier result, or cannot be written.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} exists and is not a folder: give another --out")
    if path.is_dir():
        foreign = sorted(child.name for child in path.iterdir() if not is_own(child.name))
        if foreign:
            raise InputError(f"{path} holds {foreign[0]}, which is not an earlier result: give a new --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path} cannot be made ({error.strerror}): give another --out") from error
    try:
        yield work
        # mkdtemp makes private folders; a result is as open as anything the user makes.
        work.chmod(0o777 & ~_umask())
        _put(work, path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): free it or give another --out"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _put(work: Path, path: Path) -> None:
    """Rename, with an earlier result moved aside first and removed last."""
    if not path.exists():
        work.rename(path)
        return
    old = work.with_name(work.name + ".old")
    path.rename(old)
    try:
        work.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
