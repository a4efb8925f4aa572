"""A model folder of ours -> networks as ONNX, and a JSON file with everything around them: for programs without torch."""

import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from segforge.compute.documents import Document
from segforge.compute.files import write_bytes
from segforge.errors import SegForgeError
from segforge.images.grid import ANISOTROPY
from segforge.inference.tiles import gaussian_weights
from segforge.networks.build import build_for_inference
from segforge.networks.checkpoint import CheckpointFacts, load_checkpoint
from segforge.networks.model_folder import ModelFolder
from segforge.planning.fingerprint import IntensityProperties
from segforge.planning.plans import NormalizationSpec, ResamplingSpec

FILE_NAME = "model.json"
WEIGHTS = "tile_weights.npy"

_OPSET = 20
_TOLERANCE = 1e-4

log = logging.getLogger(__name__)


class OnnxModel(Document):
    """What a program does around the networks (docs/reference/sharing.md).

    Attributes:
        version: Version of this schema.
        dataset: Folder name of the data set.
        model: Name of the model's folder.
        networks: Files of the networks, one per fold; their logits are averaged.
        tile_weights: File of the weight of each voxel of a tile.
        input_name: Of the networks: `(B, channels, *patch_size)` float32.
        output_name: Of the networks: logits `(B, heads, *patch_size)`.
        channels: What the image channels show.
        transpose: Axis order in which everything is computed, as indices into the stored axes.
        normalization: One entry per channel.
        intensities: Of the data set, one entry per channel.
        spacing: In mm, transposed; in 2D without the slice axis.
        resampling: How cases are brought there, and logits back.
        anisotropy: Ratio of spacings from which on the coarse axis is resampled by its nearest slice.
        patch_size: Of a tile.
        step: Distance of tiles as a share of the patch.
        mirror_axes: Spatial axes of the patch whose mirrored copies are averaged too, in all combinations.
        labels: Name to stored value, or values.
        stored_values: The stored value of each class.
        regions: For regions: the class that each head writes where its logit is above 0, in order; empty otherwise.
    """

    version: Literal[1] = 1
    dataset: str
    model: str
    networks: tuple[str, ...]
    tile_weights: str = WEIGHTS
    input_name: str = "image"
    output_name: str = "logits"
    channels: tuple[str, ...]
    transpose: tuple[int, int, int]
    normalization: tuple[NormalizationSpec, ...]
    intensities: tuple[IntensityProperties, ...]
    spacing: tuple[float, ...]
    resampling: ResamplingSpec
    anisotropy: float = ANISOTROPY
    patch_size: tuple[int, ...]
    step: float = 0.5
    mirror_axes: tuple[int, ...]
    labels: dict[str, int | tuple[int, ...]]
    stored_values: tuple[int, ...]
    regions: tuple[int, ...]


def export_to_onnx(model: ModelFolder, folds: Sequence[str], checkpoint: str, folder: Path) -> None:
    """Write the networks of some folds, each compared with ours in onnxruntime, and what is around them.

    Args:
        model: The model.
        folds: Its folds.
        checkpoint: File name of the checkpoint in each fold's folder.
        folder: An empty folder.

    Raises:
        SegForgeError: If the extra is not installed, the model is a cascade, or a network's outputs differ.
    """
    plans, description = model.plans, model.description
    _, configuration = model.configuration(plans)
    if configuration.previous_stage is not None:
        raise SegForgeError(
            f"{model.path.name} needs the prediction of {configuration.previous_stage}; ONNX holds one stage. Choose another "
            "model with -c."
        )
    facts = [_export_fold(model.fold(fold).path / checkpoint, configuration.patch_size, folder / _name(fold)) for fold in folds]
    weights = io.BytesIO()
    np.save(weights, gaussian_weights(configuration.patch_size))
    write_bytes(folder / WEIGHTS, weights.getvalue())
    labels = description.label_scheme
    OnnxModel(
        dataset=plans.dataset,
        model=model.path.name,
        networks=tuple(_name(fold) for fold in folds),
        channels=description.channels,
        transpose=plans.transpose_forward,
        normalization=configuration.normalization,
        intensities=plans.intensities,
        spacing=configuration.spacing,
        resampling=configuration.resampling,
        patch_size=configuration.patch_size,
        mirror_axes=facts[0].mirror_axes,
        labels=description.labels,
        stored_values=labels.stored_values,
        regions=labels.write_order,
    ).write(folder / FILE_NAME)


def _name(fold: str) -> str:
    return f"fold_{fold}.onnx"


def _export_fold(path: Path, patch: tuple[int, ...], target: Path) -> CheckpointFacts:
    loaded = load_checkpoint(path)
    spec = loaded.facts.architecture
    network = build_for_inference(spec, loaded.weights, str(path))
    example = torch.from_numpy(np.random.default_rng(0).normal(size=(2, spec.input_channels, *patch)).astype(np.float32))
    content = _converted(network, example)
    difference = _difference(content, network, example)
    if not difference <= _TOLERANCE:
        raise SegForgeError(
            f"{path} as ONNX differs from ours by {difference:.2g}, more than {_TOLERANCE:g}. Nothing was written."
        )
    log.info("%s: in onnxruntime within %.1g.", target.name, difference)
    write_bytes(target, content)
    return loaded.facts


def _converted(network: torch.nn.Module, example: torch.Tensor) -> bytes:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise SegForgeError(f"ONNX needs {error.name}. Install it with: pip install 'segforge[onnx]'") from error
    batch: Any = torch.export.Dim("batch", min=1)
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)  # it warns of torchvision, which nothing here needs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            opset_version=_OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes=({0: batch},),
            verbose=False,
        )
    exporter.setLevel(level)
    content: bytes = program.model_proto.SerializeToString()
    return content


def _difference(content: bytes, network: torch.nn.Module, example: torch.Tensor) -> float:
    """The largest difference of logits, for two batch sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    differences = []
    for batch in (example, example[:1]):
        with torch.inference_mode():
            ours = network(batch).numpy()
        (theirs,) = session.run(["logits"], {"image": batch.numpy()})
        differences.append(float(np.abs(ours - theirs).max()))
    return max(differences)
