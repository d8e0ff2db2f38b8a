"""``ros2 interface``: show what interfaces consist of."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from ros2cli.command import CommandError, add_subcommands

_KINDS = ("msg", "srv", "action")
#: Type, bounds or array, and the rest of a field.
_FIELD = re.compile(r"^(?P<type>[A-Za-z]\w*(?:/\w+)*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[a-zA-Z]\w*\s*(?![\w=])")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_subcommands(parser)
    show = verbs.add_parser("show", help="Output the interface definition")
    show.add_argument("type", help="Name of the interface, e.g. 'std_msgs/msg/String'")
    show.add_argument("--no-comments", action="store_true", help="Show no comments or whitespace")
    show.set_defaults(verb=_show)


def _show(arguments: argparse.Namespace) -> int:
    for line in _lines(arguments.type, comments=not arguments.no_comments):
        print(line)
    return 0


def _lines(name: str, *, comments: bool) -> list[str]:
    """Return the definition, with those of the fields below them, a tab further in."""
    package, kind, _ = parts = name.split("/") if name.count("/") == 2 else ("", "", "")
    if kind not in _KINDS or not all(parts):
        raise CommandError(f"Invalid name '{name}'. Expected three parts separated by '/'")
    try:
        path = Path(get_package_share_directory(package), kind, f"{parts[2]}.{kind}")
        text = path.read_text(encoding="utf-8")
    except (PackageNotFoundError, ValueError, FileNotFoundError) as error:
        raise CommandError(f"Unknown interface '{name}': is its package installed?") from error
    found: list[str] = []
    for line in text.splitlines():
        shown = line if comments else line.split("#")[0].rstrip()
        if not comments and not shown:
            continue
        found.append(shown)
        field = _FIELD.match(line.split("#")[0])
        nested = _nested(field["type"], package) if field is not None else None
        if nested is not None:
            found += [f"\t{below}" for below in _lines(nested, comments=False)]
    return found


def _nested(type_name: str, package: str) -> str | None:
    """Return the full name of the message that a field is of; None where it is of a primitive type."""
    if "/" in type_name:
        parts = type_name.split("/")
        return f"{parts[0]}/msg/{parts[-1]}"
    return f"{package}/msg/{type_name}" if type_name[0].isupper() else None
