"""Random requests to the nodes, sound or with a defect that is planted on purpose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import State, Transition
from rcl_interfaces.msg import Parameter, ParameterDescriptor, ParameterType, ParameterValue
from unique_identifier_msgs.msg import UUID

#: Texts that somebody may send where a name or a path is expected. None leads out of the folder that the bench runs in.
ODD_TEXTS = (
    "",
    " ",
    ".",
    "/",
    "//",
    "~",
    "~~",
    "é",
    "\u202e\U0001f600",
    "a\nb",
    "%s%n{}",
    "'; --",
    "x" * 300,
    "x" * 100_000,
    "sam3d_objects",
    "nan",
    "-1",
    "[]",
    "a.b..c.",
)
#: Paths below the folder of scenes, and others.
SOUND_PATHS = (
    "a.glb",
    "b/c.glb",
    "é ü.glb",
    "x" * 100 + ".glb",
    "many/folders/deep/d.glb",
    "-.glb",
    "a.b.glb",
)
FOREIGN_PATHS = (
    "../out.glb",
    "a/../../out.glb",
    "a/../b.glb",
    "/etc/out.glb",
    "/proc/self/out.glb",
    "~/out.glb",
    "~nobody_of_this_name/out.glb",
    "out.gltf",
    "out",
    ".glb",
    "folder/",
    "a.glb/inside.glb",
    "x" * 300 + ".glb",
    "/".join(["deep"] * 2000) + "/a.glb",
    "null\0.glb",
)
#: State -> transition that it allows -> state after it. What shuts the node down is left for the end.
ALLOWED: Mapping[int, Mapping[int, int]] = {
    State.PRIMARY_STATE_UNCONFIGURED: {Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE},
    State.PRIMARY_STATE_INACTIVE: {
        Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
        Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
    },
    State.PRIMARY_STATE_ACTIVE: {Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE},
}
SHUTDOWNS = {
    State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_INACTIVE_SHUTDOWN,
    State.PRIMARY_STATE_ACTIVE: Transition.TRANSITION_ACTIVE_SHUTDOWN,
}
LABELS = {
    Transition.TRANSITION_CONFIGURE: "configure",
    Transition.TRANSITION_CLEANUP: "cleanup",
    Transition.TRANSITION_ACTIVATE: "activate",
    Transition.TRANSITION_DEACTIVATE: "deactivate",
}
_FIELDS = {
    ParameterType.PARAMETER_BOOL: "bool_value",
    ParameterType.PARAMETER_INTEGER: "integer_value",
    ParameterType.PARAMETER_DOUBLE: "double_value",
    ParameterType.PARAMETER_STRING: "string_value",
    ParameterType.PARAMETER_BYTE_ARRAY: "byte_array_value",
    ParameterType.PARAMETER_BOOL_ARRAY: "bool_array_value",
    ParameterType.PARAMETER_INTEGER_ARRAY: "integer_array_value",
    ParameterType.PARAMETER_DOUBLE_ARRAY: "double_array_value",
    ParameterType.PARAMETER_STRING_ARRAY: "string_array_value",
}
_NO_NUMBERS = (math.nan, math.inf, -math.inf)


@dataclass(frozen=True)
class Known:
    """A parameter of a node: what it says of it, and its value at the start."""

    descriptor: ParameterDescriptor
    value: ParameterValue


@dataclass(frozen=True)
class Given:
    """A parameter to set.

    Attributes:
        parameter: name and value.
        is_refused: whether it has to be refused; it may be anyway, by the state of the node.
        defect: what is wrong with it, for the table.
    """

    parameter: Parameter
    is_refused: bool
    defect: str


def draw_text(rng: np.random.Generator) -> str:
    """An odd text."""
    return ODD_TEXTS[rng.integers(len(ODD_TEXTS))]


def draw_path(rng: np.random.Generator) -> tuple[str, bool]:
    """A path of a scene, and whether it lies where scenes may be written and ends as they have to."""
    if rng.random() < 0.4:
        return SOUND_PATHS[rng.integers(len(SOUND_PATHS))], True
    if rng.random() < 0.7:
        return FOREIGN_PATHS[rng.integers(len(FOREIGN_PATHS))], False
    return draw_text(rng), False


def draw_ids(rng: np.random.Generator) -> list[int]:
    """Instance ids of a goal: some, all, none that there is, and very many."""
    kinds: tuple[list[int], ...] = (
        [],
        [1],
        [2, 3],
        [0],
        [2**32 - 1],
        [7, 7, 7],
        [9999],
        list(range(1, 5000)),
    )
    return kinds[rng.integers(len(kinds))]


def draw_goal_id(rng: np.random.Generator, known: list[UUID]) -> UUID:
    """A new id, one that was given before, or that which means all."""
    kind = rng.random()
    if kind < 0.3 and known:
        return known[rng.integers(len(known))]
    if kind < 0.4:
        return UUID(uuid=np.zeros(16, np.uint8))
    return UUID(uuid=rng.integers(0, 256, 16, np.uint8))


def draw_time(rng: np.random.Generator) -> Time:
    """A moment, most of them long ago or far ahead."""
    seconds = (0, 1, -1, 2**31 - 1, -(2**31), 1_700_000_000)[rng.integers(6)]
    return Time(sec=seconds, nanosec=(0, 1, 999_999_999, 2**32 - 1)[rng.integers(4)])


def draw_transition(rng: np.random.Generator, state: int) -> tuple[Transition, int | None]:
    """A transition, and the state after it where the state allows it; None where it does not.

    None that would shut the node down.
    """
    kind, allowed = rng.random(), ALLOWED[state]
    if kind < 0.35:
        chosen = list(allowed)[rng.integers(len(allowed))]
        by_label = rng.random() < 0.3
        transition = Transition(label=LABELS[chosen]) if by_label else Transition(id=chosen)
        return transition, allowed[chosen]
    if kind < 0.9:
        refused = [n for n in (*range(12), *range(20, 64, 7), 255) if n not in (*allowed, SHUTDOWNS[state])]
        return Transition(id=refused[rng.integers(len(refused))]), None
    refused_labels = [label for chosen, label in LABELS.items() if chosen not in allowed]
    texts = [*refused_labels, *(text for text in ODD_TEXTS if text)]
    return Transition(id=int(rng.integers(256)), label=texts[rng.integers(len(texts))]), None


def draw_parameter(rng: np.random.Generator, known: Mapping[str, Known]) -> Given:
    """A parameter to set."""
    names = sorted(known)
    name = names[rng.integers(len(names))]
    descriptor = known[name].descriptor
    kind = descriptor.type
    defect = ("none", "none", "name", "type", "no type", "range", "no number", "unset", "choice")[
        rng.integers(9)
    ]
    if defect == "name":
        unknown = (name + "x", name.upper() + "_", *ODD_TEXTS)[rng.integers(2 + len(ODD_TEXTS))]
        return Given(Parameter(name=unknown, value=_value(rng, descriptor)), True, defect)
    if defect == "type":
        others = [other for other in _FIELDS if other != kind]
        other = others[rng.integers(len(others))]
        return Given(Parameter(name=name, value=_of_type(other)), True, defect)
    if defect == "no type":
        return Given(
            Parameter(name=name, value=ParameterValue(type=int(rng.integers(10, 256)))), True, defect
        )
    if defect == "unset":
        return Given(Parameter(name=name, value=ParameterValue()), True, defect)
    beyond = _beyond(rng, descriptor, defect)
    if beyond is not None:
        return Given(Parameter(name=name, value=beyond), True, defect)
    return Given(Parameter(name=name, value=_value(rng, descriptor)), descriptor.read_only, "none")


def _beyond(rng: np.random.Generator, descriptor: ParameterDescriptor, defect: str) -> ParameterValue | None:
    """A value of the right type that must not be; None where this defect does not apply."""
    kind = descriptor.type
    if defect == "no number" and kind == ParameterType.PARAMETER_DOUBLE:
        return ParameterValue(type=kind, double_value=_NO_NUMBERS[rng.integers(3)])
    if defect == "range" and descriptor.integer_range:
        limits = descriptor.integer_range[0]
        values = [
            v
            for v in (limits.from_value - 1, limits.to_value + 1, -(2**63), 2**63 - 1)
            if abs(v) <= 2**63 - 1
        ]
        outside = [v for v in values if not limits.from_value <= v <= limits.to_value]
        return (
            ParameterValue(type=kind, integer_value=outside[rng.integers(len(outside))]) if outside else None
        )
    if defect == "range" and descriptor.floating_point_range:
        span = descriptor.floating_point_range[0]
        low, high = math.nextafter(span.from_value, -math.inf), math.nextafter(span.to_value, math.inf)
        outside_floats = (low - 1e-3 * abs(low) - 1e-3, high + 1e-3 * abs(high) + 1e-3, -1e308, 1e308)
        return ParameterValue(type=kind, double_value=float(outside_floats[rng.integers(4)]))
    if defect == "choice" and descriptor.additional_constraints.startswith(("One of", "Of")):
        text = draw_text(rng) + "?"
        if kind == ParameterType.PARAMETER_STRING:
            return ParameterValue(type=kind, string_value=text)
        if kind == ParameterType.PARAMETER_STRING_ARRAY:
            return ParameterValue(type=kind, string_array_value=[text] * 3)
    return None


def _value(rng: np.random.Generator, descriptor: ParameterDescriptor) -> ParameterValue:
    """A value that the descriptor allows."""
    kind = descriptor.type
    if kind == ParameterType.PARAMETER_BOOL:
        return ParameterValue(type=kind, bool_value=bool(rng.integers(2)))
    if kind == ParameterType.PARAMETER_INTEGER:
        limits = descriptor.integer_range[0] if descriptor.integer_range else None
        low, high = (limits.from_value, limits.to_value) if limits else (0, 100)
        chosen = (low, high, min(high, low + int(rng.integers(0, 100))))[rng.integers(3)]
        return ParameterValue(type=kind, integer_value=chosen)
    if kind == ParameterType.PARAMETER_DOUBLE:
        span = descriptor.floating_point_range[0] if descriptor.floating_point_range else None
        ends = (span.from_value, span.to_value) if span else (0.0, 1.0)
        share = (0.0, 1.0, rng.random() ** 4)[rng.integers(3)]
        return ParameterValue(type=kind, double_value=float(ends[0] + share * (ends[1] - ends[0])))
    choices = _choices(descriptor)
    text = choices[rng.integers(len(choices))] if choices else draw_text(rng)
    if kind == ParameterType.PARAMETER_STRING_ARRAY:
        return ParameterValue(type=kind, string_array_value=[text][: rng.integers(2)])
    return _of_type(kind, text)


def _choices(descriptor: ParameterDescriptor) -> list[str]:
    """The texts that a descriptor lists."""
    head, found, rest = descriptor.additional_constraints.partition("f: ")
    return rest.rstrip(".").split(", ") if found and head in ("One o", "O") else []


def _of_type(kind: int, text: str = "odd") -> ParameterValue:
    """Some value of a type."""
    values: dict[str, Any] = {
        "bool_value": True,
        "integer_value": 3,
        "double_value": 0.5,
        "string_value": text,
        "byte_array_value": [b"\x01", b"\xff"],
        "bool_array_value": [True, False],
        "integer_array_value": [1, -(2**63)],
        "double_array_value": [0.5, math.nan],
        "string_array_value": [text, ""],
    }
    return ParameterValue(type=kind, **{_FIELDS[kind]: values[_FIELDS[kind]]})
