"""Quality of service by name, so that it can be a parameter."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

#: name -> reliability, durability, depth. REP-2003: sensor data best effort; maps reliable and latched.
_PROFILES = {
    "sensor_data": (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE, 5),
    "reliable": (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE, 10),
    "latched": (ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL, 1),
}
PROFILE_NAMES = tuple(_PROFILES)
#: Stands for whatever is offered.
AUTO = "auto"


def qos_profile(name: str, *, depth: int | None = None) -> QoSProfile:
    """A profile by its name.

    Args:
        name: `sensor_data` (best effort, the last 5), `reliable` (the last 10) or `latched` (reliable, the last
            one also for those who come late).
        depth: messages kept, where that should be another number.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in _PROFILES:
        raise ValueError(f"QoS profile {name!r} is unknown: use one of {', '.join(PROFILE_NAMES)}")
    reliability, durability, usual_depth = _PROFILES[name]
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=usual_depth if depth is None else depth,
        reliability=reliability,
        durability=durability,
    )
