"""Configurations that name another one and say only what differs -> complete configurations."""

from collections.abc import Mapping
from typing import Any

from segforge.planning.architecture import MONAI, STAGES

KEY = "inherits_from"

_SHAPES_DATA = {"spacing", "normalization", "resampling", "dtype"}


def resolve(configurations: Mapping[str, Any], plans: str) -> dict[str, Any]:
    """Complete each configuration with what it inherits; its own entries win, key by key within `architecture`.

    Another network takes over no arguments, and one of MONAI's no stages. A configuration that changes what shapes the
    preprocessed data without naming a folder for them gets a folder of its own.

    Args:
        configurations: JSON objects by name; entries that are not objects are passed through, to be refused later.
        plans: Name of the plans, for names of folders.

    Raises:
        ValueError: If one inherits from itself or from one that does not exist.
    """
    complete: dict[str, Any] = {}
    for name, item in configurations.items():
        for ancestor in reversed(_ancestors(name, configurations)):
            if ancestor not in complete:
                parent = configurations[ancestor].get(KEY)
                complete[ancestor] = (
                    _merged(complete[parent], configurations[ancestor], f"{plans}_{ancestor}")
                    if parent
                    else configurations[ancestor]
                )
        complete.setdefault(name, item)
    return {name: complete[name] for name in configurations}


def _ancestors(name: str, configurations: Mapping[str, Any]) -> list[str]:
    """The configuration itself, the one it inherits from, and so on; empty if it is not an object."""
    chain: list[str] = []
    heir: Any = name
    while isinstance(configurations.get(heir), Mapping):
        if heir in chain:
            raise ValueError(f"configurations.{name}: inherits from itself ({' from '.join((*chain, heir))})")
        chain.append(heir)
        parent = configurations[heir].get(KEY)
        if parent is None:
            return chain
        if not isinstance(parent, str) or not isinstance(configurations.get(parent), Mapping):
            raise ValueError(f"configurations.{heir}.{KEY}: there is no configuration {parent}")
        heir = parent
    return chain


def _merged(inherited: Mapping[str, Any], own: Mapping[str, Any], folder: str) -> dict[str, Any]:
    merged = {**inherited, **own}
    if isinstance(inherited.get("architecture"), Mapping) and isinstance(own.get("architecture"), Mapping):
        merged["architecture"] = _merged_architecture(inherited["architecture"], own["architecture"])
    if "data" not in own and any(merged.get(key) != inherited.get(key) for key in _SHAPES_DATA):
        merged["data"] = folder
    return merged


def _merged_architecture(inherited: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    network = own.get("network", inherited.get("network"))
    left_out = (() if network == inherited.get("network") else ("arguments",)) + (
        STAGES if str(network).startswith(MONAI) else ()
    )
    return {key: value for key, value in inherited.items() if key not in left_out} | {**own}
