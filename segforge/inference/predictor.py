"""A trained model, loaded once, that turns images into label maps."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segforge.dataset.cases import Case, read_case_image
from segforge.errors import SegForgeError
from segforge.images.dicom_segmentation import ENDING as SEGMENTATION_ENDING
from segforge.images.dicom_segmentation import write_segmentation
from segforge.images.files import write_volume
from segforge.images.image import IDENTITY, Geometry, Image
from segforge.images.orientation import as_stored
from segforge.inference.export import labels_from_logits
from segforge.inference.sliding_window import SlidingWindow
from segforge.networks.build import build_for_inference
from segforge.networks.checkpoint import load_checkpoint
from segforge.networks.model_folder import FINAL, ModelFolder
from segforge.preprocessing.preprocessor import CaseProperties, PreprocessedCase, Preprocessor

Array = npt.NDArray[Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionSettings:
    """How to predict.

    Attributes:
        mirroring: Whether the mirrored copies of each tile are averaged too.
        step: Distance of tiles as a share of the patch, above 0 and at most 1.
    """

    mirroring: bool = True
    step: float = 0.5


class Predictor:
    """The networks of some folds of a model, in memory.

    Attributes:
        networks: One per fold, in the order of `folds`.
        folds: The folds.
        description: The description of the data set that the model was trained on.
    """

    def __init__(
        self,
        model: ModelFolder,
        folds: Sequence[str],
        device: torch.device,
        settings: PredictionSettings = PredictionSettings(),
        checkpoint: str = FINAL,
    ) -> None:
        """Load the weights.

        Args:
            model: The model's folder.
            folds: Folds whose logits are averaged.
            device: Where to compute.
            settings: How to predict.
            checkpoint: File name of the checkpoint in each fold's folder.

        Raises:
            SegForgeError: If a file is missing or damaged.
        """
        if not 0 < settings.step <= 1:
            raise SegForgeError(f"The tile step must be above 0 and at most 1; found {settings.step}.")
        self.folds = tuple(folds)
        self.description = model.description
        self._plans = model.plans
        self._name, self._configuration = model.configuration(self._plans)
        self._labels = self.description.label_scheme
        self._preprocess = Preprocessor(self._plans, self._configuration, self._labels)
        paths = [model.fold(fold).path / checkpoint for fold in folds]
        checkpoints = [load_checkpoint(path) for path in paths]
        self.networks = [
            build_for_inference(loaded.facts.architecture, loaded.weights, str(path)).to(device)
            for loaded, path in zip(checkpoints, paths, strict=True)
        ]
        self._window = SlidingWindow(
            self.networks,
            self._configuration.patch_size,
            self._labels.heads,
            mirror_axes=checkpoints[0].facts.mirror_axes if settings.mirroring else (),
            step=settings.step,
            device=device,
        )

    def predict_case(self, case: Case, output: Path) -> None:
        """Predict a case from its files and write the label map on its grid, in the format of the output's ending.

        Raises:
            SegForgeError: If a file is unreadable or the result cannot be written.
        """
        image = read_case_image(case, self.description)
        labels = self.predict_image(image)
        if output.suffix == SEGMENTATION_ENDING:
            write_segmentation(output, case.images[0], as_stored(labels, image.geometry), self._labels.structures)
        else:
            write_volume(output, labels, image.geometry)

    def predict_image(self, image: Image) -> Array:
        """The label map `(Z, Y, X)` of an image, in stored values."""
        return self.predict_preprocessed(self._preprocess(image))

    def predict_array(self, array: Array, spacing: Sequence[float]) -> Array:
        """The label map `(Z, Y, X)` of an array.

        Args:
            array: `(C, Z, Y, X)`, or `(Z, Y, X)` for one channel, axes and intensities as in the training's files.
            spacing: Voxel size along (z, y, x) in mm.

        Raises:
            SegForgeError: If the number of channels or axes is not the model's.
        """
        channels = np.asarray(array, np.float32)
        channels = channels[None] if channels.ndim == 3 else channels
        expected = len(self.description.channels)
        if channels.ndim != 4 or channels.shape[0] != expected or len(spacing) != 3:
            raise SegForgeError(
                f"The model needs {expected} channels (C, Z, Y, X) and three spacings; found {array.shape}, {spacing}."
            )
        if not np.isfinite(channels).all():
            raise SegForgeError("The array holds NaN or infinity. Replace such voxels, for example by 0.")
        z, y, x = channels.shape[1:]
        geometry = Geometry((z, y, x), (float(spacing[0]), float(spacing[1]), float(spacing[2])), (0.0, 0.0, 0.0), IDENTITY)
        return self.predict_image(Image(channels, geometry))

    def predict_preprocessed(self, case: PreprocessedCase, advance: Callable[[], object] = lambda: None) -> Array:
        """The label map `(Z, Y, X)`, in stored axes and values, of a case that is preprocessed already."""
        return self.labels(self.logits(case, advance), case.properties)

    def logits(self, case: PreprocessedCase, advance: Callable[[], object] = lambda: None) -> Array:
        """The mean logits of the folds `(heads, Z, Y, X)` float32, on the grid of a preprocessed case.

        Args:
            case: The case; for a cascade with the class map of the previous stage.
            advance: Called after each tile.
        """
        return self._window.logits(self._inputs(case), advance)

    def labels(self, logits: Array, properties: CaseProperties) -> Array:
        """The label map `(Z, Y, X)`, in stored axes and values, of logits on a preprocessed case's grid."""
        return labels_from_logits(logits, properties, self._plans, self._configuration, self._labels)

    def _inputs(self, case: PreprocessedCase) -> Array:
        if self._configuration.previous_stage is None:
            return case.image
        if case.previous is None:
            raise SegForgeError(f"{self._name} needs the prediction of {self._configuration.previous_stage} as an input.")
        foreground = np.arange(1, self._labels.classes).reshape(-1, 1, 1, 1)
        return np.concatenate([case.image, case.previous == foreground], dtype=np.float32)
