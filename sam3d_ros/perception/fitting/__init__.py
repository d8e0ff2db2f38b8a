"""Poses against what is measured."""
