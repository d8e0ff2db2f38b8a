"""A place in the shared memory of Fast DDS that no killed process left.

Each process has a port there that others write to, numbered like its participant in the domain. A process that is ended
by SIGKILL while it takes a message in cannot give its port back. The next process of that number removes the port and
makes it anew, and Fast DDS (2.14.5) does not tell those who have it mapped: they write into what was removed, and the
new process hears nothing of them, nor does the one after it. With a number that was not in use everybody maps its port
afresh.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from xml.etree import ElementTree

#: Where Linux has shared memory.
_MEMORY = Path("/dev/shm")
#: Ports by the rules of DDS-RTPS 9.6.2.3: of the first domain, between domains, and between participants; where those
#: that take the messages of users begin.
_FIRST_PORT, _DOMAIN_GAIN, _PARTICIPANT_GAIN, _USER_OFFSET = 7400, 250, 2, 11
#: Participants of one machine find each other up to this number.
_PARTICIPANTS = 32
#: Either names the file of profiles; which one it is depends on the version.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_NAMESPACE = "http://www.eprosima.com"


def keep_apart_from_the_killed(
    environment: MutableMapping[str, str] = os.environ, memory: Path = _MEMORY
) -> int | None:
    """Have this process take a number that no killed process left a port of; called before its first node is made.

    Nothing is changed where nobody was killed, with another middleware, or where a profile gives the number already.

    Args:
        environment: of the process; names another file of profiles afterwards.
        memory: the folder of shared memory.

    Returns:
        The number; None = Fast DDS chooses.
    """
    number = _free_number(environment, memory)
    profile = None if number is None else numbered(_profile(environment), number)
    if profile is None:
        return None
    descriptor, path = tempfile.mkstemp(".xml", "sam3d_ros_fastdds_")
    os.close(descriptor)
    Path(path).write_text(profile, encoding="utf-8")
    atexit.register(Path(path).unlink, missing_ok=True)
    environment.update(dict.fromkeys(PROFILE_VARIABLES, path))
    return number


def numbered(profile: str, number: int) -> str | None:
    """A profile of Fast DDS, in XML, whose default participant has a number.

    Args:
        profile: the XML; empty = none is used.
        number: of the participant.

    Returns:
        None where the profile has a number already, or cannot be read: Fast DDS itself tells of that.
    """
    try:
        root = ElementTree.fromstring(profile or f'<dds xmlns="{_NAMESPACE}"/>')
    except ElementTree.ParseError:
        return None
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    ElementTree.register_namespace("", space.strip("{}"))
    profiles = root if root.tag == f"{space}profiles" else root.find(f"{space}profiles")
    if profiles is None:
        profiles = ElementTree.SubElement(root, f"{space}profiles")
    default = (p for p in profiles.iter(f"{space}participant") if p.get("is_default_profile") == "true")
    participant = next(default, None)
    if participant is None:
        names = {"profile_name": "sam3d_ros_numbered", "is_default_profile": "true"}
        participant = ElementTree.SubElement(profiles, f"{space}participant", names)
    rtps = participant.find(f"{space}rtps")
    if rtps is None:
        rtps = ElementTree.SubElement(participant, f"{space}rtps")
    if rtps.find(f"{space}participantID") is not None:
        return None
    ElementTree.SubElement(rtps, f"{space}participantID").text = str(number)
    return ElementTree.tostring(root, encoding="unicode")


def _free_number(environment: MutableMapping[str, str], memory: Path) -> int | None:
    """The least number whose port is not there; None where nobody was killed, or all are there."""
    if not environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps"):
        return None
    domain = environment.get("ROS_DOMAIN_ID") or "0"
    if not domain.isdecimal():
        return None  # rcl refuses it
    first = _FIRST_PORT + _DOMAIN_GAIN * int(domain) + _USER_OFFSET
    ports = [memory / f"fastrtps_port{first + _PARTICIPANT_GAIN * number}" for number in range(_PARTICIPANTS)]
    if not any(_was_left(port) for port in ports):
        return None
    return next((number for number, port in enumerate(ports) if not port.exists()), None)


def _was_left(port: Path) -> bool:
    """Whether the process that has a port was killed: the file that tells who has it is there, and nobody's."""
    try:
        with port.with_name(f"{port.name}_el").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _profile(environment: MutableMapping[str, str]) -> str:
    """The XML that the environment names; empty without."""
    named = [environment[name] for name in PROFILE_VARIABLES if environment.get(name)]
    try:
        return Path(named[0]).read_text(encoding="utf-8") if named else ""
    except (OSError, UnicodeDecodeError):
        return ""
