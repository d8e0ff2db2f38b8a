"""The README names what the code has."""

from __future__ import annotations

from pathlib import Path

from sam3d_ros.ros.faults import Fault

ROOT = Path(__file__).resolve().parent.parent


def test_every_fault_has_its_remedy_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    missing = [
        fault.label
        for fault in Fault
        if f"| `{fault.label}` ({fault.level.name}) | {fault.remedy} |" not in text
    ]
    assert not missing, f"the README lacks or misquotes the faults {missing}"


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    targets = [part.split(")")[0] for part in text.split("](")[1:]]
    assert targets
    assert not [target for target in targets if not (ROOT / target).exists()]
