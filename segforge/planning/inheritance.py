"""Configurations that name another one and say only what differs -> complete configurations."""

from collections.abc import Mapping
from typing import Any

KEY = "inherits_from"


def resolve(configurations: Mapping[str, Any]) -> dict[str, Any]:
    """Complete each configuration with what it inherits; its own entries win, key by key within `architecture`.

    Args:
        configurations: JSON objects by name; entries that are not objects are passed through, to be refused later.

    Raises:
        ValueError: If one inherits from itself or from one that does not exist.
    """
    return {name: _completed(name, configurations, ()) for name in configurations}


def _completed(name: str, configurations: Mapping[str, Any], heirs: tuple[str, ...]) -> Any:
    if name in heirs:
        raise ValueError(f"configurations.{heirs[0]}: inherits from itself ({' from '.join((*heirs, name))})")
    own = configurations[name]
    parent = own.get(KEY) if isinstance(own, Mapping) else None
    if parent is None:
        return own
    if parent not in configurations:
        raise ValueError(f"configurations.{name}.{KEY}: there is no configuration {parent}")
    inherited = _completed(parent, configurations, (*heirs, name))
    return _merged(inherited, own) if isinstance(inherited, Mapping) else own


def _merged(inherited: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**inherited, **own}
    if isinstance(inherited.get("architecture"), Mapping) and isinstance(own.get("architecture"), Mapping):
        merged["architecture"] = {**inherited["architecture"], **own["architecture"]}
    return merged
