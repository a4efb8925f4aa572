"""A damaged or absurd dataset.json ends in an error that names it, or is read: never in anything else."""

import copy
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np

from segforge.dataset.cases import list_cases
from segforge.dataset.description import read_description
from segforge.errors import SegForgeError

MUTATIONS = int(os.environ.get("SEGFORGE_FUZZ", "10000"))
SEEDS: list[Any] = [
    {"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1}, "numTraining": 2, "file_ending": ".nii.gz"},
    {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4},
        "regions_class_order": [1, 2, 3],
        "numTraining": 20,
        "file_ending": ".png",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    },
    {
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "a"},
        "numTraining": "1",
        "file_ending": ".nii.gz",
        "dataset": {"case": {"images": ["a.nii.gz"], "label": "b.nii.gz"}},
    },
]
LEAVES: list[Any] = [
    None, True, False, 0, 1, -1, 255, 2**31, 2**64, -(10**30), 1.5, float("nan"), float("inf"), "", "0", "1", "background",
    "ignore", "\0", "é", "\ud83d", "../..", "." * 300, [], {}, [[]], [0], [1, 1], ["a"], {"0": {}}, {"": 0}, {"background": 0},
]  # fmt: skip


def test_mutations_are_refused_by_name_or_read(tmp_path: Path) -> None:
    path, chance = tmp_path / "dataset.json", random.Random(0)
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "imagesTr" / "a_0000.png").touch()
    read = 0
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(chance))
        try:
            description = read_description(path)
        except SegForgeError as error:
            assert str(path) in str(error)
            continue
        read += 1
        labels = description.label_scheme
        assert labels.classes == len(labels.stored_values) >= 2
        np.testing.assert_array_equal(labels.to_classes(labels.to_stored(np.arange(labels.classes))), np.arange(labels.classes))
        path.write_text(description.to_json())
        assert read_description(path).to_json() == description.to_json()
        try:
            list_cases(tmp_path, description)
        except SegForgeError as error:
            assert str(tmp_path) in str(error)
    assert MUTATIONS / 20 < read < MUTATIONS


def mutated(chance: random.Random) -> bytes:
    content = copy.deepcopy(chance.choice(SEEDS))
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        content = changed(content, chance)
    raw = json.dumps(content, ensure_ascii=chance.random() < 0.9).encode("utf-8", "surrogatepass")
    if chance.random() < 0.2:
        begin = chance.randrange(len(raw))
        raw = (
            raw[:begin]
            + chance.choice([b"", b"\xff", b"{", b'"', b",", b"[" * 5000, b"1" * 5000])
            + raw[begin + chance.randrange(4) :]
        )
    return raw


def changed(value: Any, chance: random.Random) -> Any:
    """The value with something in it, or all of it, replaced, renamed, doubled or taken away."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.1:
        return chance.choice(LEAVES)
    if isinstance(value, list):
        index = chance.randrange(len(value))
        replacement = chance.choice([[], [value[index]] * 2, [changed(value[index], chance)]])
        return value[:index] + replacement + value[index + 1 :]
    key = chance.choice(list(value))
    act = chance.random()
    result = dict(value)
    if act < 0.6:
        result[key] = changed(value[key], chance)
    elif act < 0.8:
        del result[key]
    else:
        result[str(chance.choice(LEAVES))[:50]] = result.pop(key)
    return result
