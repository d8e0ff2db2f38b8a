"""What is accepted wherever actions can be written."""

from collections.abc import Iterable

from launch.launch_description_entity import LaunchDescriptionEntity

SomeActionsType = LaunchDescriptionEntity | Iterable[LaunchDescriptionEntity]

SomeActionsType_types_tuple = (LaunchDescriptionEntity, Iterable)
