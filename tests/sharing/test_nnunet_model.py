"""nnU-Net's models come in, ours go out, and nothing in a file is run."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sharing_samples import DATASET, REGIONS, nnunet_model, read_pth, small_model, weights, write_pth

import segforge
from segforge.api.sharing import ExportOptions, ImportOptions, export_model, import_models
from segforge.errors import SegForgeError
from segforge.networks.model_folder import ModelFolder
from segforge.sharing.nnunet_checkpoint import read_nnunet_checkpoint
from segforge.sharing.nnunet_weights import weights_to_nnunet

KINDS: dict[str, dict[str, Any]] = {
    "plain 3D": {},
    "plain 2D": {"dimensions": 2},
    "residual 3D": {"network": "residual_encoder_unet"},
    "residual 2D": {"network": "residual_encoder_unet", "dimensions": 2},
    "batch norm": {"network": "plain_unet_batch_norm"},
    "no deep supervision": {"deep_supervision": False},
    "regions": {"description": REGIONS},
    "ignore": {"description": {"labels": {"background": 0, "a": 1, "b": 2, "ignore": 3}}},
    "canonical axes": {"description": {"overwrite_image_reader_writer": "NibabelIOWithReorient"}},
    "cascade": {"cascade": True},
    "two folds": {"folds": ("0", "all")},
}


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return nnunet_model(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_goes_to_nnunet_comes_back_as_it_was(tmp_path: Path, kind: str) -> None:
    folder = nnunet_model(tmp_path, **KINDS[kind])
    (imported,) = import_models(folder, output=tmp_path / "back")
    _, plans, configuration = folder.name.split("__")
    before = ModelFolder(tmp_path / "ours" / DATASET / f"default__{plans}__{configuration}")
    after = ModelFolder(imported)
    assert after.begun_folds() == before.begun_folds()
    for fold in before.begun_folds():
        one, other = weights(before, fold), weights(after, fold)
        names = [name for name in one if not (name.startswith("heads.") and kind == "no deep supervision")]
        assert all(torch.equal(one[name], other[name]) for name in names)
        assert set(one) == set(other) or kind == "no deep supervision"
    assert after.description.label_scheme == before.description.label_scheme
    assert after.description.is_canonical == (kind == "canonical axes")
    assert after.plans.configurations == before.plans.configurations


@pytest.mark.parametrize("kind", KINDS)
def test_nnunets_folder_predicts_as_the_model_it_was_made_of(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder = nnunet_model(tmp_path, **KINDS[kind])
    _, plans, configuration = folder.name.split("__")
    before = tmp_path / "ours" / DATASET / f"default__{plans}__{configuration}"
    image = np.random.default_rng(0).normal(size=(1, 12, 14, 15)).astype(np.float32)
    one, other = (segforge.load(path, device="cpu").predict_array(image, (2, 2, 2)) for path in (before, folder))
    assert np.array_equal(one, other)
    left = [path.name for path in (tmp_path / "temporary").iterdir()]
    assert [name for name in left if not name.startswith("torchinductor")] == []  # which is PyTorch's own


def test_a_checkpoint_holds_all_names_that_nnunets_own_do(shared: Path) -> None:
    for model in sorted((shared / "golden/models").iterdir()):
        checkpoint = read_nnunet_checkpoint(model / "fold_0" / "checkpoint_final.pth")
        with tempfile.TemporaryDirectory() as place:
            (imported,) = import_models(model, output=Path(place))
            ours = ModelFolder(imported)
            _, configuration = ours.configuration(ours.plans)
            back = weights_to_nnunet(weights(ours), configuration.architecture)
        assert set(back) == set(checkpoint.weights)
        assert all(torch.equal(tensor, checkpoint.weights[name]) for name, tensor in back.items())


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod."])
def test_compiled_and_distributed_networks_are_the_same(theirs: Path, tmp_path: Path, prefix: str) -> None:
    content = read_pth(theirs)
    plain = content["network_weights"]
    write_pth(theirs, content | {"network_weights": {prefix + name: tensor for name, tensor in plain.items()}})
    (imported,) = import_models(theirs, output=tmp_path / "back")
    assert torch.equal(weights(ModelFolder(imported))["heads.1.convolution.weight"], plain["decoder.seg_layers.1.weight"])


def test_plans_of_the_first_releases(theirs: Path, tmp_path: Path) -> None:
    plans = json.loads((theirs / "plans.json").read_text())
    ((_, configuration),) = plans["configurations"].items()
    arguments = configuration.pop("architecture")["arch_kwargs"]
    configuration |= {
        "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 4, "unet_max_num_features": 8,
        "n_conv_per_stage_encoder": arguments["n_conv_per_stage"],
        "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
        "pool_op_kernel_sizes": arguments["strides"], "conv_kernel_sizes": arguments["kernel_sizes"],
    }  # fmt: skip
    (theirs / "plans.json").write_text(json.dumps(plans))
    (imported,) = import_models(theirs, output=tmp_path / "back")
    _, read = ModelFolder(imported).configuration(ModelFolder(imported).plans)
    assert read.architecture.features == (4, 8, 8)


def test_a_results_tree_and_nnunets_zip_hold_several(tmp_path: Path) -> None:
    folder = nnunet_model(tmp_path, cascade=True)
    tree = tmp_path / "nnunet"
    (tree / DATASET / "inference_information.txt").write_text("text")
    archive = shutil.make_archive(str(tmp_path / "exported"), "zip", tree)
    (tmp_path / "workspace/raw").mkdir(parents=True)
    from_tree = import_models(tree, workspace=tmp_path / "workspace")
    from_zip = import_models(archive, output=tmp_path / "zip", options=ImportOptions(name="other"))
    assert [path.parent for path in from_tree] == [tmp_path / "workspace/results" / DATASET] * 2
    assert [path.name for path in from_tree] == ["nnUNetTrainer__test__3d_cascade_fullres", "nnUNetTrainer__test__3d_lowres"]
    assert [path.name for path in from_zip] == ["other__test__3d_cascade_fullres", "other__test__3d_lowres"]
    assert torch.equal(
        weights(ModelFolder(from_tree[0]))["decoder.0.up.weight"], weights(ModelFolder(from_zip[0]))["decoder.0.up.weight"]
    )
    assert read_pth(folder)["init_args"]["configuration"] == "3d_cascade_fullres"


def test_splits_beside_the_model_become_the_folds_cases(theirs: Path, tmp_path: Path) -> None:
    (theirs.parent / "splits_final.json").write_text('[{"train": ["x", "y"], "val": ["z"]}]')
    (imported,) = import_models(theirs, output=tmp_path / "back")
    assert ModelFolder(imported).fold("0").cases().val == ("z",)


def test_what_is_there_is_replaced_on_demand_alone(theirs: Path, tmp_path: Path) -> None:
    (imported,) = import_models(theirs, output=tmp_path / "back")
    (imported / "mine.txt").write_text("mine")
    with pytest.raises(SegForgeError, match="exists already. Remove it, or replace it with --force"):
        import_models(theirs, output=tmp_path / "back")
    assert (imported / "mine.txt").is_file()
    import_models(theirs, output=tmp_path / "back", options=ImportOptions(force=True))
    assert not (imported / "mine.txt").exists()
    assert [path.name for path in (tmp_path / "back").iterdir()] == [imported.name]


def test_another_data_set_of_that_number_is_not_mixed_up(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "workspace/raw/Dataset900_Other").mkdir(parents=True)
    with pytest.raises(SegForgeError, match="the number belongs to Dataset900_Other here"):
        import_models(theirs, workspace=tmp_path / "workspace")
    assert not (tmp_path / "workspace/results").exists()


def test_labels_that_nnunet_does_not_know_are_refused(tmp_path: Path) -> None:
    model = small_model(tmp_path, description={"labels": {"background": 0, "a": 1, "b": 300}})
    with pytest.raises(SegForgeError, match=r"numbered without gaps.* this model's are 0, 1, 300"):
        export_model(model.path, tmp_path / "out", options=ExportOptions(format="nnunet"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [DATASET]


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return _sentinel, (str(self.path),)


def _sentinel(path: str) -> object:
    Path(path).write_text("was run")
    return {}


def _set(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return content | {"network_weights": content["network_weights"] | changes}


def _without(content: dict[str, Any], name: str) -> dict[str, Any]:
    kept = {key: tensor for key, tensor in content["network_weights"].items() if key != name}
    return content | {"network_weights": kept}


FIRST = "encoder.stages.0.0.convs.0.conv.weight"
REPEATED = "encoder.stages.0.0.convs.0.all_modules.0.weight"

CHECKPOINTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing": (lambda c: _without(c, FIRST), f"lacks 1 weights of its network, {FIRST}"),
    "missing but repeated": (lambda c: _without(c, "decoder.seg_layers.0.bias"), "lacks 1 weights"),
    "too many": (lambda c: _set(c, **{"decoder.more.weight": torch.ones(2)}), "holds 1 weights too many, decoder.more.weight"),
    "shape": (lambda c: _set(c, **{FIRST: torch.ones(4, 2, 3, 3, 3)}), r"the network has torch.float32 \[4, 1, 3, 3, 3\]"),
    "virtual": (lambda c: _set(c, **{FIRST: torch.ones(1).expand(10**12)}), r"\[1000000000000\]"),
    "type": (lambda c: _set(c, **{FIRST: torch.ones(4, 1, 3, 3, 3, dtype=torch.int64)}), "torch.int64"),
    "NaN": (lambda c: _set(c, **{FIRST: torch.full((4, 1, 3, 3, 3), torch.nan)}), "hold NaN or infinity"),
    "infinite": (lambda c: _set(c, **{"decoder.seg_layers.1.bias": torch.full((3,), torch.inf)}), "hold NaN or infinity"),
    "contradiction": (lambda c: _set(c, **{REPEATED: torch.ones(4, 1, 3, 3, 3)}), f"repeat {FIRST}, but differ"),
    "twice": (lambda c: _set(c, **{"module." + FIRST: torch.ones(4, 1, 3, 3, 3)}), "twice, once with a prefix"),
    "no tensor": (lambda c: _set(c, **{FIRST: 3}), "is no tensor"),
    "no weights": (lambda c: {"init_args": c["init_args"]}, "no network_weights"),
    "no mapping": (lambda c: [1, 2], "holds a list"),
    "configuration": (lambda c: c | {"init_args": {"configuration": "../../x"}}, "no configuration ../../x"),
    "trainer": (lambda c: c | {"trainer_name": "../../x"}, "cannot be part of a folder name"),
    "axes": (lambda c: c | {"inference_allowed_mirroring_axes": (0, 7)}, "not a list of axes"),
    "axes in words": (lambda c: c | {"inference_allowed_mirroring_axes": "all"}, "not a list of axes"),
    "epochs": (lambda c: c | {"current_epoch": -1}, "not a number of epochs"),
}


def _refused(folder: Path, tmp_path: Path, message: str) -> None:
    with pytest.raises(SegForgeError, match=message):
        import_models(folder, output=tmp_path / "back")
    with pytest.raises(SegForgeError, match=message):
        segforge.load(folder, device="cpu")
    assert not (tmp_path / "back").exists()
    assert not (tmp_path / "sentinel").exists()


@pytest.mark.parametrize("damage", CHECKPOINTS)
def test_a_checkpoint_that_is_not_what_it_should_be_is_refused(theirs: Path, tmp_path: Path, damage: str) -> None:
    change, message = CHECKPOINTS[damage]
    write_pth(theirs, change(read_pth(theirs)))
    _refused(theirs, tmp_path, message)


@pytest.mark.parametrize("place", ["alone", "network_weights", "optimizer_state", "logging"])
def test_code_in_a_pickle_is_not_run(theirs: Path, tmp_path: Path, place: str) -> None:
    evil = Evil(tmp_path / "sentinel")
    write_pth(theirs, evil if place == "alone" else read_pth(theirs) | {place: {"x": evil}})
    _refused(theirs, tmp_path, r"is refused: reading it would need .*_sentinel, which may run code")


def test_a_pickle_without_a_zip_around_it_is_refused(theirs: Path, tmp_path: Path) -> None:
    content = read_pth(theirs) | {"logging": Evil(tmp_path / "sentinel")}
    path = theirs / "fold_0" / "checkpoint_final.pth"
    torch.save(content, path, _use_new_zipfile_serialization=False)
    _refused(theirs, tmp_path, "no checkpoint of torch's")
    path.write_bytes(path.read_bytes()[:100])
    _refused(theirs, tmp_path, "no checkpoint of torch's")


def test_a_cut_checkpoint_is_refused(theirs: Path, tmp_path: Path) -> None:
    path = theirs / "fold_0" / "checkpoint_final.pth"
    path.write_bytes(path.read_bytes()[:-300])
    _refused(theirs, tmp_path, "is damaged")


def test_a_checkpoint_that_would_grow_is_refused(theirs: Path, tmp_path: Path) -> None:
    path = theirs / "fold_0" / "checkpoint_final.pth"
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, part in parts.items():
            file.writestr(name, part)
    _refused(theirs, tmp_path, "compressed parts, which torch never writes")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network_class_name": "subprocess.Popen"}, "'subprocess.Popen' is no network that SegForge has"),
        ({"network_class_name": "os.system.PlainConvUNet"}, "is no network that SegForge has"),
        ({"_kw_requires_import": ["conv_op", "n_stages"]}, "_kw_requires_import"),
        ({"arch_kwargs": {"class": "subprocess.Popen", "args": ["touch", "sentinel"]}}, "class is not known here"),
        ({"arch_kwargs": {"conv_op": "subprocess.Popen"}}, "conv_op"),
        ({"arch_kwargs": {"nonlin": "os.system"}}, "nonlin"),
    ],
)
def test_plans_that_name_something_else_are_refused(theirs: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    plans = json.loads((theirs / "plans.json").read_text())
    (architecture,) = (configuration["architecture"] for configuration in plans["configurations"].values())
    arguments = architecture["arch_kwargs"] | change.pop("arch_kwargs", {})
    architecture |= change | {"arch_kwargs": arguments}
    (theirs / "plans.json").write_text(json.dumps(plans))
    _refused(theirs, tmp_path, message)


@pytest.mark.parametrize(
    ("field", "value"),
    [("plans_name", "../../x"), ("dataset_name", "../../x"), ("label_manager", "os.system"), ("transpose_forward", [0, 0, 1])],
)
def test_names_that_lead_elsewhere_are_refused(theirs: Path, tmp_path: Path, field: str, value: Any) -> None:
    plans = json.loads((theirs / "plans.json").read_text())
    (theirs / "plans.json").write_text(json.dumps(plans | {field: value}))
    _refused(theirs, tmp_path, field)


def test_folds_of_different_configurations_are_refused(tmp_path: Path) -> None:
    folder = nnunet_model(tmp_path, folds=("0", "1"))
    content = read_pth(folder, "1")
    write_pth(folder, content | {"init_args": content["init_args"] | {"configuration": "2d"}}, "1")
    _refused(folder, tmp_path, "is of 2d, .* of 3d_fullres")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SegForgeError, match="holds no model of nnU-Net's"):
        import_models(tmp_path / "empty", output=tmp_path / "back")
    with pytest.raises(SegForgeError, match="is missing"):
        import_models(tmp_path / "nowhere", output=tmp_path / "back")
    assert not (tmp_path / "back").exists()
