"""Namespaces within namespaces."""

from __future__ import annotations


def is_namespace_absolute(ns: str) -> bool:
    """Return whether the namespace begins at the root."""
    return ns.startswith("/")


def make_namespace_absolute(ns: str | None) -> str | None:
    """Return the namespace from the root; an empty one is the root."""
    if ns is None or ns.startswith("/"):
        return ns
    return f"/{ns}"


def prefix_namespace(base_ns: str | None, ns: str | None) -> str | None:
    """Return the namespace within a base; an absolute one ignores the base."""
    if ns is None:
        return base_ns
    if base_ns is None or is_namespace_absolute(ns):
        combined = ns
    else:
        combined = f"{base_ns.rstrip('/')}/{ns}"
    return combined if combined == "/" else combined.rstrip("/")
