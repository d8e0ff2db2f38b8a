"""Functions that actions, conditions and substitutions are made with."""

from launch.utilities.class_tools_impl import is_a, is_a_subclass
from launch.utilities.ensure_argument_type_impl import ensure_argument_type
from launch.utilities.entities_impl import visit_all_entities_and_collect_futures
from launch.utilities.normalize_to_list_of_substitutions_impl import normalize_to_list_of_substitutions
from launch.utilities.perform_substitutions_impl import perform_substitutions

__all__ = [
    "ensure_argument_type",
    "is_a",
    "is_a_subclass",
    "normalize_to_list_of_substitutions",
    "perform_substitutions",
    "visit_all_entities_and_collect_futures",
]
