"""Old and other spellings of `dataset.json`, read as what they mean, with a word on how they are spelled today."""

import json
from collections.abc import Iterable, Mapping
from typing import Any


def modernised(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The content in today's spelling, and a sentence for each thing that was spelled otherwise.

    Understood are `modality` for `channel_names`, labels as value to name ({"0": "background"}), values as text, and
    a `file_ending` without its dot.
    """
    result, notes = dict(content), list[str]()
    if "channel_names" not in result and isinstance(result.get("modality"), dict):
        result["channel_names"] = result.pop("modality")
        notes.append(f'"modality" is spelled "channel_names": {_shown(result["channel_names"])}')
    labels = result.get("labels")
    if isinstance(labels, dict):
        result["labels"] = {name: _as_number(value) for name, value in _by_name(labels).items()}
        if result["labels"] != labels:
            notes.append(f'"labels" gives a value to each name: {_shown(result["labels"])}')
    ending = result.get("file_ending")
    if isinstance(ending, str) and ending and not ending.startswith("."):
        result["file_ending"] = f".{ending}"
        notes.append(f'"file_ending" begins with a dot: ".{ending}"')
    if result.get("overwrite_image_reader_writer") == "None":
        del result["overwrite_image_reader_writer"]
    if "regions_class_order" in result:
        result["regions_class_order"] = _as_number(result["regions_class_order"])
    return result, notes


def _by_name(labels: Mapping[str, Any]) -> Mapping[str, Any]:
    """Value to name turned into name to value; left alone if any name would be doubled or is not text."""
    is_reversed = bool(labels) and all(_is_number(key) for key in labels)
    is_reversed = is_reversed and all(isinstance(name, str) and not _is_number(name) for name in labels.values())
    if not is_reversed or len(set(labels.values())) != len(labels):
        return labels
    return {name: int(value) for value, name in labels.items()}


def _as_number(value: Any) -> Any:
    if isinstance(value, str) and _is_number(value):
        return int(value)
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return [_as_number(item) for item in value]
    return value


def _is_number(text: object) -> bool:
    digits = text.removeprefix("-") if isinstance(text, str) else ""
    return digits.isascii() and digits.isdigit() and len(digits) < 20


def _shown(value: Mapping[str, Any]) -> str:
    items = [f"{json.dumps(name)}: {json.dumps(item)}" for name, item in value.items()]
    return "{" + ", ".join(items[:5]) + (", ..." if len(items) > 5 else "") + "}"
