"""The configuration of a MONAI bundle, read as plain JSON -> the network in it; what would have to be run is refused."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segforge.compute.documents import read_json
from segforge.errors import SegForgeError, did_you_mean
from segforge.networks.monai_network import CHANNELS, DECIDED, DOWNLOADING, NAMES, constructor, has_deep_supervision
from segforge.planning.architecture import MONAI, ArchitectureSpec

METADATA = "metadata.json"
OWN = "network.json"
"""The file that a user writes where a bundle's own configuration is more than data."""

_FIRST = (OWN, "inference.json", "train.json")
_KEYS = ("network_def", "network")
_TARGET = "_target_"
_EXPRESSION, _REFERENCE, _MACRO = "$", "@", "%"
_PACKAGE = "monai.networks.nets."
_HARMLESS_TARGETS = ("monai.", "torch.", "ignite.")
_LONGEST_CHAIN = 10


@dataclass(frozen=True)
class _Config:
    """A file, and its content."""

    path: Path
    content: Mapping[str, Any]


def read_network(folder: Path) -> tuple[Path, ArchitectureSpec]:
    """The network of a bundle, and the file that describes it.

    Raises:
        SegForgeError: If there is none, if it is not among those of the table, or if the file asks for something to be run;
            says what to write instead.
    """
    config = _config(folder)
    key = next(_candidates(config.content))
    try:
        network = _resolved(config.content[key], key, config)
        spec = _spec(network, config, key)
        reason = next(_what_runs(config.content, ""), None)
    except RecursionError as error:
        raise SegForgeError(f"{config.path} is refused: it is nested too deeply.") from error
    if reason:
        plain = json.dumps({"network_def": network})
        raise SegForgeError(
            f"{config.path} is refused: {reason}. SegForge runs nothing that stands in a file. Of a bundle it takes the "
            f"network alone: write it as plain JSON to {config.path.with_name(OWN)}, here {plain}"
        )
    return config.path, spec


def _config(folder: Path) -> _Config:
    """The first configuration that has a network; that of a user comes first."""
    files = sorted((folder / "configs").glob("*.json"), key=lambda path: (_place(path.name), path.name))
    for path in files:
        if path.name == METADATA:
            continue
        content = read_json(path)
        if isinstance(content, dict) and any(_candidates(content)):
            return _Config(path, content)
    raise SegForgeError(
        f"{folder} is no bundle with a network: none of its configs/*.json has an entry network_def. Write one to "
        f'{folder / "configs" / OWN}: {{"network_def": {{"{_TARGET}": "SegResNet", ...}}}}'
    )


def _place(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _candidates(content: Mapping[str, Any]) -> Iterator[str]:
    """Entries that may be the network: those of the usual names, then those that are one by their target."""
    yield from (key for key in _KEYS if isinstance(content.get(key), dict))
    for key, value in content.items():
        if key not in _KEYS and isinstance(value, dict) and _short_name(value.get(_TARGET)) in NAMES:
            yield key


def _resolved(value: Any, where: str, config: _Config) -> Any:
    """The value with every reference replaced by the plain data that it refers to.

    Raises:
        SegForgeError: If it holds an expression, or a reference to anything but plain data.
    """
    if isinstance(value, dict):
        return {key: _resolved(item, f"{where}.{key}", config) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, f"{where}.{number}", config) for number, item in enumerate(value)]
    if _is_plain(value):
        return value
    found = value
    for _ in range(_LONGEST_CHAIN):
        if isinstance(found, str) and found.startswith(_REFERENCE):
            found = _looked_up(found.removeprefix(_REFERENCE).replace("::", "#").split("#"), config.content)
    if found is not None and _is_plain(found):
        return found
    raise SegForgeError(
        f"{config.path}: {where} is {value!r}, which would have to be evaluated. SegForge runs nothing that stands in a file: "
        f"write the value itself, for example {json.dumps(where.rsplit('.', 1)[-1])}: 16."
    )


def _is_plain(value: Any) -> bool:
    """Whether nothing in it has to be evaluated."""
    if isinstance(value, dict | list):
        return all(_is_plain(item) for item in (value.values() if isinstance(value, dict) else value))
    return not (isinstance(value, str) and value.startswith((_EXPRESSION, _REFERENCE, _MACRO)))


def _looked_up(keys: Sequence[str], content: Any) -> Any:
    """What stands at a path of keys and positions; None if nothing does."""
    for key in keys:
        if isinstance(content, dict) and key in content:
            content = content[key]
        elif isinstance(content, list) and key.isdecimal() and int(key) < len(content):
            content = content[int(key)]
        else:
            return None
    return content


def _what_runs(value: Any, where: str) -> Iterator[str]:
    """Each place that asks for something to be run: an expression, or a component that is none of MONAI's or PyTorch's."""
    if isinstance(value, str) and value.startswith(_EXPRESSION):
        yield f"{where} is the expression {value!r}"
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _what_runs(item, f"{where}.{number}".lstrip("."))
    if isinstance(value, dict):
        target = value.get(_TARGET)
        if isinstance(target, str) and "." in target and not target.startswith((_EXPRESSION, *_HARMLESS_TARGETS)):
            yield f"{where or 'it'} is to be made from {target!r}"
        for key, item in value.items():
            yield from _what_runs(item, f"{where}.{key}".lstrip("."))


def _spec(network: Mapping[str, Any], config: _Config, key: str) -> ArchitectureSpec:
    """The description of the network, its arguments checked."""
    name = _short_name(network.get(_TARGET))
    if name not in NAMES:
        hint = did_you_mean(str(name), NAMES) or f" Known are {', '.join(NAMES)}."
        raise SegForgeError(
            f"{config.path}: {key}.{_TARGET} is {network.get(_TARGET)!r}, "
            f"which is not among the networks of MONAI's here.{hint}"
        )
    defaults = {key: value.default for key, value in constructor(name).items() if value.default is not value.empty}
    decided = {**defaults, **network}
    arguments = {key: value for key, value in network.items() if key not in (*DECIDED, *DOWNLOADING, _TARGET)}
    channels = {field: decided[theirs] for theirs, field in CHANNELS.items() if theirs in decided}
    content = channels | {
        "network": MONAI + name, "arguments": arguments, "deep_supervision": has_deep_supervision(name, network),
    }  # fmt: skip
    return ArchitectureSpec.parse(content, f"{config.path}: {key}")


def _short_name(target: Any) -> str | None:
    """A class of `monai.networks.nets` by its name alone; anything else as it is."""
    if isinstance(target, str) and target.startswith(_PACKAGE):
        return target.rsplit(".", 1)[-1]
    return target if isinstance(target, str) else None
