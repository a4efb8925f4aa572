"""Networks as ONNX: they compute the same, and a program without torch predicts the same labels."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from sharing_samples import REGIONS, small_model

import segforge
from segforge.api.sharing import ExportOptions, export_model
from segforge.errors import SegForgeError

EXAMPLE = Path(__file__).parents[2] / "examples" / "predict_onnx.py"

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def predicted_without_torch(folder: Path, image: Path, output: Path) -> Any:
    blocked = "import sys; sys.modules['torch'] = sys.modules['segforge'] = None; import runpy; "
    code = (
        blocked
        + f"sys.argv = {['x', str(folder), str(output), str(image)]!r}; runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(output)))


def write(path: Path, spacing: tuple[float, float, float]) -> Any:
    """An image with a border of zeros; returns it as SegForge reads it."""
    array = np.zeros((13, 22, 17), np.float32)
    array[1:-1, 2:-1, 1:-2] = np.random.default_rng(0).normal(100, 30, (11, 19, 14))
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    sitk.WriteImage(image, str(path))
    return array


MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[float, float, float]]] = {
    "plain 3D": ({}, {}, (2.0, 2.0, 2.0)),
    "residual 2D, coarse slices": ({"network": "residual_encoder_unet", "dimensions": 2}, {}, (7.0, 1.5, 1.7)),
    "regions, other axes, coarse": ({"description": REGIONS}, {"transpose_forward": [2, 0, 1]}, (1.5, 1.4, 6.5)),
    "two folds, CT": ({"folds": ("0", "1")}, {"normalization": "ct"}, (2.5, 1.5, 1.5)),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_program_without_torch_predicts_the_same_labels(tmp_path: Path, kind: str) -> None:
    options, changes, spacing = MODELS[kind]
    model = small_model(tmp_path, **options)
    plans = json.loads((model.path / "plans.json").read_text())
    ((_, configuration),) = plans["configurations"].items()
    plans["transpose_forward"] = changes.get("transpose_forward", plans["transpose_forward"])
    configuration["normalization"][0]["name"] = changes.get("normalization", "zscore")
    (model.path / "plans.json").write_text(json.dumps(plans))
    array = write(tmp_path / "image.nii.gz", spacing)
    folder = export_model(model.path, tmp_path / "exported", options=ExportOptions(format="onnx"))
    theirs = predicted_without_torch(folder, tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz")
    ours = segforge.load(model.path, device="cpu", precision="fp32").predict_array(array, spacing)
    assert len(np.unique(ours)) > 1
    assert np.array_equal(theirs, ours)


def test_nnunets_model_predicts_the_same_labels(shared: Path, tmp_path: Path) -> None:
    model = shared / "golden/models/hippocampus_2d_plain"
    (image,) = (shared / "data/Dataset004_Hippocampus").rglob("hippocampus_035_0000.nii.gz")
    with pytest.raises(SegForgeError, match="is no model|has no trained model|Several"):
        export_model(tmp_path, tmp_path / "exported", options=ExportOptions(format="onnx"))
    (imported,) = segforge.import_models(model, output=tmp_path / "imported")
    folder = export_model(imported, tmp_path / "exported", options=ExportOptions(format="onnx"))
    labels = predicted_without_torch(folder, image, tmp_path / "labels.nii.gz")
    reference = sitk.GetArrayFromImage(sitk.ReadImage(str(model / "reference/hippocampus_035__tta.nii.gz")))
    assert (labels == reference).mean() >= 0.9999


def test_a_cascade_is_refused(tmp_path: Path) -> None:
    model = small_model(tmp_path, cascade=True)
    with pytest.raises(SegForgeError, match="ONNX holds one stage"):
        export_model(model.path, tmp_path / "exported", options=ExportOptions(format="onnx"))
    assert not (tmp_path / "exported").exists()
