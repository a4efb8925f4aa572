"""Packages: what goes in comes out, and nothing else does."""

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sharing_samples import DATASET, small_model, weights

import segforge
from segforge.api.sharing import ExportOptions, ImportOptions, export_model, import_models, list_models, show_model
from segforge.errors import SegForgeError
from segforge.experiment.selection import Candidate, Selection
from segforge.inference.postprocessing import Postprocessing
from segforge.networks.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from segforge.networks.model_folder import BEST, FINAL, ModelFolder

MODEL = "default__test__3d_fullres"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    model = small_model(tmp_path / "ours", folds=("0", "1"))
    return export_model(model.path, tmp_path / "m.segforge.zip", options=ExportOptions(notes="a note"))


def parts_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def rewrite(path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], *, keep_hashes: bool = False) -> Path:
    """Change files of a package, with a manifest that agrees unless the old hashes are kept."""
    parts = change(parts_of(path))
    if not keep_hashes:
        manifest = json.loads(parts["manifest.json"])
        manifest["files"] = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items() if name != "manifest.json"}
        parts["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return path


def refused(path: Path, message: str) -> None:
    place = path.parent / "back"
    with pytest.raises(SegForgeError, match=message):
        import_models(path, output=place)
    assert not place.exists()


def test_a_package_holds_what_prediction_needs_and_no_optimizer(tmp_path: Path, package: Path) -> None:
    (imported,) = import_models(package, output=tmp_path / "back")
    before, after = ModelFolder(tmp_path / "ours" / DATASET / MODEL), ModelFolder(imported)
    assert after.begun_folds() == ["0", "1"]
    assert all(torch.equal(tensor, weights(after, "1")[name]) for name, tensor in weights(before, "1").items())
    checkpoint = load_checkpoint(after.fold("0").path / FINAL)
    assert load_checkpoint(before.fold("0").path / FINAL).optimizer
    assert not checkpoint.optimizer
    assert after.fold("0").cases().val == ("b",)
    image = np.random.default_rng(0).normal(size=(12, 14, 15)).astype(np.float32)
    first, *others = (
        segforge.load(path, device="cpu").predict_array(image, (2, 2, 2)) for path in (before.path, imported, package)
    )
    assert all(np.array_equal(first, other) for other in others)
    card = show_model(package)
    assert (card.licence, card.notes, card.dataset, card.folds) == ("CC0", "a note", DATASET, ("0", "1"))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path, package: Path) -> None:
    again = export_model(tmp_path / "ours" / DATASET / MODEL, tmp_path / "again.zip", options=ExportOptions(notes="a note"))
    assert again.name == "again.segforge.zip"
    assert again.read_bytes() == package.read_bytes()


def test_folds_checkpoints_and_validations_on_demand(tmp_path: Path) -> None:
    model = small_model(tmp_path / "ours", folds=("0", "1"))
    best = model.fold("1").path / BEST
    best.write_bytes((model.fold("1").path / FINAL).read_bytes())
    (model.fold("1").validation).mkdir()
    (model.fold("1").validation / "b.nii.gz").write_bytes(b"map")
    chosen = ExportOptions(folds=["1"], checkpoints=["best", "final"], validation=True)
    path = export_model(model.path, tmp_path / "m.segforge.zip", options=chosen)
    names = [name.removeprefix(f"{MODEL}/fold_1/") for name in parts_of(path) if "fold_" in name]
    assert sorted(names) == ["cases.json", BEST, FINAL, "validation/b.nii.gz"]
    (imported,) = import_models(path, output=tmp_path / "back")
    assert (imported / "fold_1/validation/b.nii.gz").read_bytes() == b"map"
    with pytest.raises(SegForgeError, match="no checkpoint worst"):
        ExportOptions(checkpoints=["worst"])


def test_a_selection_goes_along_with_its_models_and_those_before_them(tmp_path: Path) -> None:
    cascade, plain = small_model(tmp_path, cascade=True), small_model(tmp_path, name="other")
    names = (cascade.path.name, plain.path.name)
    ranking = (Candidate(models=names, dice=0.9, dice_per_structure={}),)
    steps = Postprocessing.model_validate({"steps": []})
    Selection(dataset=DATASET, folds=("0",), models=names, postprocessing=steps, ranking=ranking).write(
        tmp_path / DATASET / "selection.json"
    )
    path = export_model(tmp_path / DATASET, tmp_path / "m.segforge.zip")
    (tmp_path / "workspace/raw").mkdir(parents=True)
    imported = import_models(path, workspace=tmp_path / "workspace")
    results = tmp_path / "workspace/results" / DATASET
    assert sorted(folder.name for folder in imported) == sorted((*names, "default__test__3d_lowres"))
    assert Selection.read(results / "selection.json").models == names
    image = np.random.default_rng(0).normal(size=(12, 14, 15)).astype(np.float32)
    maps = [segforge.load(place, device="cpu").predict_array(image, (2, 2, 2)) for place in (tmp_path / DATASET, results, path)]
    assert all(np.array_equal(maps[0], other) for other in maps[1:])
    assert sorted(list_models(tmp_path / "workspace")) == sorted(imported)


def test_one_cascade_can_be_predicted_with_from_its_package(tmp_path: Path) -> None:
    cascade = small_model(tmp_path, cascade=True)
    path = export_model(cascade.path, tmp_path / "m.segforge.zip")
    assert segforge.load(path, device="cpu").members[0].previous is not None


def test_nothing_is_replaced_unasked(tmp_path: Path, package: Path) -> None:
    import_models(package, output=tmp_path / "back")
    with pytest.raises(SegForgeError, match="exists already"):
        import_models(package, output=tmp_path / "back")
    import_models(package, output=tmp_path / "back", options=ImportOptions(force=True))
    with pytest.raises(SegForgeError, match="exists already"):
        export_model(tmp_path / "ours" / DATASET / MODEL, package)
    assert [path.name for path in (tmp_path / "back").iterdir()] == [MODEL]


def _plan(parts: dict[str, bytes], change: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    plans = json.loads(parts[f"{MODEL}/plans.json"])
    change(plans["configurations"]["3d_fullres"])
    return parts | {f"{MODEL}/plans.json": json.dumps(plans).encode()}


SELECTION_OF_OTHERS = json.dumps({"dataset": DATASET, "folds": ["0"], "models": ["x__y__z"], "ranking": []}).encode()

CHANGES: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "a further file": (lambda p: p | {f"{MODEL}/run.py": b"import os"}, "run.py' is no part of a model"),
    "a file in another folder": (lambda p: p | {"elsewhere/plans.json": b"{}"}, "is no part of a model"),
    "a pickle": (lambda p: p | {f"{MODEL}/fold_0/checkpoint_final.pth": b"x"}, "is no part of a model"),
    "no model": (lambda p: {"manifest.json": p["manifest.json"]}, "lacks the model"),
    "a class in a plan": (
        lambda p: _plan(p, lambda c: c["architecture"].update({"class": "subprocess.Popen", "args": ["touch", "x"]})),
        "class is not known here",
    ),
    "a foreign network": (
        lambda p: _plan(p, lambda c: c["architecture"].update(network="subprocess:Popen")),
        "subprocess:Popen is not among the networks",
    ),
    "a foreign normalization": (
        lambda p: _plan(p, lambda c: c["normalization"][0].update(name="os:system")),
        "os:system is not among the normalizations",
    ),
    "a foreign resampling": (
        lambda p: _plan(p, lambda c: c.update(resampling={"method": "os:system"})),
        "os:system is not among the resamplings",
    ),
    "another data set": (
        lambda p: p | {"manifest.json": p["manifest.json"].replace(b"Dataset900_Phantom", b"Dataset901_Phantom")},
        "holds test, 3d_fullres of Dataset900_Phantom",
    ),
    "a data set that leads out": (
        lambda p: p | {"manifest.json": p["manifest.json"].replace(b"Dataset900_Phantom", b"../../elsewhere")},
        "manifest.json is not valid. dataset",
    ),
    "other labels": (
        lambda p: p | {f"{MODEL}/dataset.json": p[f"{MODEL}/dataset.json"].replace(b'"b": 2', b'"b": 2, "c": 3')},
        "of other channels or labels",
    ),
    "other settings": (lambda p: p | {f"{MODEL}/settings.json": b'{"class": "os.system"}'}, "settings.json is not valid"),
    "cases that are none": (lambda p: p | {f"{MODEL}/fold_0/cases.json": b"3"}, "must hold"),
    "a selection of others": (lambda p: p | {"selection.json": SELECTION_OF_OTHERS}, "its selection names x__y__z"),
    "a damaged checkpoint": (
        lambda p: p | {f"{MODEL}/fold_0/{FINAL}": p[f"{MODEL}/fold_0/{FINAL}"][:-5]},
        "is damaged",
    ),
    "an empty checkpoint": (lambda p: p | {f"{MODEL}/fold_0/{FINAL}": b""}, "is damaged"),
    "a pickle called safetensors": (lambda p: p | {f"{MODEL}/fold_0/{FINAL}": b"\x80\x04cos\nsystem\n."}, "is damaged"),
    "a name twice": (lambda p: p | {f"{MODEL}/fold_0/{FINAL}": _twice(p[f"{MODEL}/fold_0/{FINAL}"])}, "is there twice"),
}  # fmt: skip


def _twice(checkpoint: bytes) -> bytes:
    """A checkpoint whose header names a tensor twice."""
    (length,) = struct.unpack("<Q", checkpoint[:8])
    header = checkpoint[8 : 8 + length].decode().rstrip()
    first = header.index('"network.')
    entry = header[first : header.index("}", first) + 1]
    changed = (header[:-1] + "," + entry + "}").encode()
    return struct.pack("<Q", len(changed)) + changed + checkpoint[8 + length :]


@pytest.mark.parametrize("change", CHANGES)
def test_a_package_that_is_not_what_it_should_be_is_refused(package: Path, change: str) -> None:
    changed, message = CHANGES[change]
    refused(rewrite(package, changed), message)


def test_a_wrong_hash_is_refused(package: Path) -> None:
    def change(parts: dict[str, bytes]) -> dict[str, bytes]:
        return parts | {f"{MODEL}/dataset.json": parts[f"{MODEL}/dataset.json"] + b" "}

    refused(rewrite(package, change, keep_hashes=True), "dataset.json has another hash than the manifest says")


def test_a_file_that_is_not_listed_or_not_there_is_refused(package: Path) -> None:
    refused(rewrite(package, lambda parts: parts | {"more.txt": b""}, keep_hashes=True), "differ in 'more.txt'")
    del_one = f"{MODEL}/fold_1/{FINAL}"
    refused(
        rewrite(package, lambda parts: {k: v for k, v in parts.items() if k not in (del_one, "more.txt")}, keep_hashes=True),
        "differ in",
    )


@pytest.mark.parametrize("damage", ["NaN", "missing", "too many", "shape", "mirror"])
def test_weights_that_are_not_what_they_should_be_are_refused(tmp_path: Path, damage: str) -> None:
    model = small_model(tmp_path / "ours")
    package = export_model(model.path, tmp_path / "m.segforge.zip")
    path = model.fold("0").path / FINAL
    loaded = load_checkpoint(path)
    own, facts = dict(loaded.weights), loaded.facts
    first = next(iter(own))
    if damage == "NaN":
        own[first] = torch.full_like(own[first], torch.nan)
    elif damage == "missing":
        del own[first]
    elif damage == "too many":
        own["more"] = torch.ones(1)
    elif damage == "shape":
        own[first] = torch.ones(3)
    else:
        facts = facts.model_copy(update={"mirror_axes": (0, 5)})
    save_checkpoint(path, Checkpoint(own, {}, facts))
    name = f"{MODEL}/fold_0/{FINAL}"
    refused(rewrite(package, lambda parts: parts | {name: path.read_bytes()}), rf"{FINAL}.*(NaN|lacks|too many|\[3\]|no axes)")


def test_a_zip_that_leads_out_of_its_folder_is_refused(tmp_path: Path, package: Path) -> None:
    rewrite(package, lambda parts: parts | {"../outside.txt": b"out"})
    refused(package, "leads out of the folder")
    assert not list(tmp_path.rglob("outside.txt"))
