"""From a name to the class behind it: ours, those of installed packages (entry points), and PACKAGE:CLASS where allowed."""

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from segforge.errors import SegForgeError, did_you_mean


def find(kind: str, name: str, ours: Mapping[str, str], *, allow_path: bool = False) -> Any:
    """The object that is registered under a name.

    Args:
        kind: What it is, in the plural: `networks`; installed packages register theirs as entry points `segforge.KIND`.
        name: The name in a plan, a setting or on the command line.
        ours: SegForge's own names and where each lies, `package.module:attribute` or a module; imported only when asked for.
        allow_path: Whether `package.module:attribute` is accepted as a name. Only for what a user typed, never for files.

    Raises:
        SegForgeError: If there is no such name; gives the nearest one and how to add others.
    """
    if name in ours:
        return _load(kind, ours[name])
    theirs = {point.name: point for point in entry_points(group=f"segforge.{kind}")}
    if name in theirs:
        try:
            return theirs[name].load()
        except Exception as error:
            raise SegForgeError(
                f"The plug-in {name} ({theirs[name].value}) cannot be loaded: {error}. Install its package anew."
            ) from error
    if allow_path and ":" in name:
        return _load(kind, name)
    known = [*ours, *theirs]
    hint = did_you_mean(name, known) or (f" Known are {', '.join(known)}." if known else "")
    raise SegForgeError(
        f"{name} is not among the {kind} here.{hint} Others come with a package that registers segforge.{kind}."
    )


def _load(kind: str, location: str) -> Any:
    module, _, attribute = location.partition(":")
    try:
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found
    except (ImportError, AttributeError, ValueError) as error:
        raise SegForgeError(
            f"{location}, one of the {kind}, cannot be loaded: {error}. Check how it is spelled, and that its package is "
            "installed here."
        ) from error
