"""A name that no other node has."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class AnonName(Substitution):
    """A name made unique; equal names give the same result within one launch."""

    def __init__(self, name: SomeSubstitutionsType) -> None:
        self.__name = normalize_to_list_of_substitutions(name)

    def perform(self, context: LaunchContext) -> str:
        """Return the unique name."""
        name = perform_substitutions(context, self.__name)
        key = f"anon{name}"
        if key not in context.launch_configurations:
            raw = f"{name}_{socket.gethostname()}_{os.getpid()}_{time.time_ns()}"
            unique = "".join(letter if letter.isalnum() else "_" for letter in raw)
            context.launch_configurations[key] = unique
        return str(context.launch_configurations[key])
