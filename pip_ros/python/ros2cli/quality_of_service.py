"""The quality of service to subscribe or publish with."""

from __future__ import annotations

import argparse
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSPresetProfiles,
    QoSProfile,
    QoSReliabilityPolicy,
)

_DEFAULT_PROFILE = "sensor_data"


def add_qos_arguments(parser: argparse.ArgumentParser, default: str = _DEFAULT_PROFILE) -> None:
    """Add the options that choose the quality of service, beginning with a preset."""
    parser.add_argument(
        "--qos-profile",
        choices=QoSPresetProfiles.short_keys(),
        help=f"Quality of service preset profile (default: {default})",
    )
    parser.add_argument("--qos-depth", type=int, help="Queue size")
    parser.add_argument("--qos-history", choices=QoSHistoryPolicy.short_keys(), help="History of samples")
    parser.add_argument("--qos-reliability", choices=QoSReliabilityPolicy.short_keys(), help="Reliability")
    parser.add_argument("--qos-durability", choices=QoSDurabilityPolicy.short_keys(), help="Durability")


def chosen_qos(arguments: argparse.Namespace, default: str = _DEFAULT_PROFILE) -> QoSProfile | None:
    """Return the quality of service that the options ask for; None where they say nothing."""
    given = (
        arguments.qos_profile,
        arguments.qos_depth,
        arguments.qos_history,
        arguments.qos_reliability,
        arguments.qos_durability,
    )
    if all(value is None for value in given):
        return None
    profile = _copy_of_preset(arguments.qos_profile or default)
    if arguments.qos_history is not None:
        profile.history = QoSHistoryPolicy.get_from_short_key(arguments.qos_history)
    if arguments.qos_depth is not None:
        profile.depth = arguments.qos_depth
    if arguments.qos_reliability is not None:
        profile.reliability = QoSReliabilityPolicy.get_from_short_key(arguments.qos_reliability)
    if arguments.qos_durability is not None:
        profile.durability = QoSDurabilityPolicy.get_from_short_key(arguments.qos_durability)
    return profile


def adapted_qos(node: Node, topic: str) -> QoSProfile:
    """Return the strictest quality of service that every publisher of the topic offers."""
    offers = [info.qos_profile for info in node.get_publishers_info_by_topic(topic)]
    profile = _copy_of_preset(_DEFAULT_PROFILE)
    if offers:
        profile.reliability = _common(
            [offer.reliability for offer in offers],
            QoSReliabilityPolicy.RELIABLE,
            QoSReliabilityPolicy.BEST_EFFORT,
        )
        profile.durability = _common(
            [offer.durability for offer in offers],
            QoSDurabilityPolicy.TRANSIENT_LOCAL,
            QoSDurabilityPolicy.VOLATILE,
        )
    return profile


def _common(offered: list[Any], strict: Any, loose: Any) -> Any:
    if all(policy == strict for policy in offered):
        return strict
    if strict in offered:
        print(
            f"Some, but not all, publishers are offering QoS{type(strict).__name__}.{strict.name}. "
            f"Falling back to QoS{type(loose).__name__}.{loose.name} as it will connect to all publishers"
        )
    return loose


def _copy_of_preset(name: str) -> QoSProfile:
    preset = QoSPresetProfiles.get_from_short_key(name)
    return QoSProfile(**{slot.removeprefix("_"): getattr(preset, slot) for slot in QoSProfile.__slots__})
