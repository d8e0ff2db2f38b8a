"""What is accepted wherever entities of a launch description can be written."""

from collections.abc import Iterable

from launch.launch_description_entity import LaunchDescriptionEntity

SomeEntitiesType = LaunchDescriptionEntity | Iterable[LaunchDescriptionEntity]

SomeEntitiesType_types_tuple = (LaunchDescriptionEntity, Iterable)
