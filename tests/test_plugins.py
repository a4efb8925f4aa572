import importlib.metadata

import pytest

from segforge import plugins
from segforge.errors import SegForgeError

OURS = {"path": "pathlib:Path"}


def test_our_names_are_found() -> None:
    from pathlib import Path

    assert plugins.find("things", "path", OURS) is Path


def test_an_installed_package_registers_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("theirs", "collections:OrderedDict", "segforge.things")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == "segforge.things" else [])
    from collections import OrderedDict

    assert plugins.find("things", "theirs", OURS) is OrderedDict
    with pytest.raises(SegForgeError, match=r"theirz is not among the things here\. Did you mean theirs\?"):
        plugins.find("things", "theirz", OURS)


def test_a_path_is_accepted_only_where_a_user_typed_it() -> None:
    from fractions import Fraction

    assert plugins.find("things", "fractions:Fraction", OURS, allow_path=True) is Fraction
    with pytest.raises(SegForgeError, match="not among the things"):
        plugins.find("things", "fractions:Fraction", OURS)


@pytest.mark.parametrize("name", ["no_such_module:X", "fractions:NoSuchClass"])
def test_what_cannot_be_loaded_is_named(name: str) -> None:
    with pytest.raises(SegForgeError, match="cannot be loaded"):
        plugins.find("things", name, OURS, allow_path=True)
