"""All that only a GPU can tell about the networks, in one report.

`benchmarks/gpu.sh [--out gpu_report] [--size released] [--device cuda] [--minutes 9] [--sections machine parity ...]`

Each section is a process of its own with a limit on its time: one that fails, hangs or is killed loses no other, and
what it had measured by then is kept. The report is written anew after every section, as Markdown and as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from gpu_tables import Table, markdown, read_table

HERE = Path(__file__).resolve().parent
# Nothing is begun with less time than this, seconds.
_LEAST = 5.0


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        title: of it.
        seconds: that it may take of nine minutes.
    """

    title: str
    seconds: float


#: In the order of their worth.
SECTIONS = {
    "machine": Section("Machine", 30),
    "parity-float32": Section("Parity in float32", 100),
    "body": Section("SAM 3D Body against its floors", 70),
    "objects": Section("SAM 3D Objects against its floors", 100),
    "graphs": Section("Graphs: breaks, capture and compilation", 90),
    "memory": Section("Peak memory under each policy", 60),
    "drills": Section("Out of memory on purpose", 50),
    "profile": Section("Where the time goes", 40),
    "parity-bfloat16": Section("Errors in bfloat16", 60),
    "parity-float16": Section("Errors in float16", 60),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("gpu_report"), help="folder of the report")
    parser.add_argument("--size", choices=("released", "tiny"), default="released", help="of the networks")
    parser.add_argument("--device", default="cuda", help="where they run (default cuda)")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all sections (default 9)")
    parser.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="which (default all)"
    )
    parser.add_argument("--parity-tests", nargs="*", default=[], help="files under test/models (default all)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * arguments.minutes
    share = arguments.minutes / 9
    done: dict[str, tuple[Table, str]] = {}
    for name in arguments.sections:
        left = end - time.monotonic()
        limit = min(SECTIONS[name].seconds * share, left)
        done[name] = _run(name, limit, arguments) if limit >= _LEAST else (Table([]), "no time was left")
        print(f"{name}: {done[name][1] or 'done'}", flush=True)
        _write(arguments.out, done, f"{arguments.size} size on {arguments.device}")
    print(f"written to {arguments.out / 'report.md'}")
    sys.exit(1 if any(fault for _, fault in done.values()) else 0)


def _run(name: str, limit: float, arguments: argparse.Namespace) -> tuple[Table, str]:
    """A section in a process of its own: what it measured, and what went wrong, empty for nothing."""
    path = (arguments.out / f"{name}.json").resolve()
    path.unlink(missing_ok=True)
    command = [
        sys.executable,
        str(HERE / "gpu_sections.py"),
        name,
        str(path),
        arguments.device,
        arguments.size,
    ]
    log = arguments.out / f"{name}.log"
    began = time.monotonic()
    with log.open("w") as output:
        try:
            code = subprocess.run(
                [*command, *arguments.parity_tests], stdout=output, stderr=subprocess.STDOUT, timeout=limit
            ).returncode
            fault = "" if code == 0 else f"ended with {code}: " + _last_line(log)
        except subprocess.TimeoutExpired:
            fault = f"was ended after {limit:.0f} s"
    table = read_table(path) or Table([])
    table.note(f"{time.monotonic() - began:.0f} s.")
    return table, fault


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def _write(folder: Path, done: dict[str, tuple[Table, str]], about: str) -> None:
    parts = [f"# The networks on a GPU\n\n{about}"]
    for name, (table, fault) in done.items():
        title = SECTIONS[name].title
        parts.append(
            "\n\n".join(filter(None, [f"## {title}", f"**{fault}**" if fault else "", markdown(table)]))
        )
    (folder / "report.md").write_text("\n\n".join(parts) + "\n")
    record = {name: {**table.record(), "fault": fault} for name, (table, fault) in done.items()}
    (folder / "report.json").write_text(json.dumps({"about": about, "sections": record}, indent=1) + "\n")


if __name__ == "__main__":
    main()
