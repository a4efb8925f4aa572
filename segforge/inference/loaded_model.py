"""A trained model in memory: from an image to logits on its own grid, the previous stage of a cascade included."""

import copy
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt
import torch

from segforge.compute.device import Precision, fastest_precision
from segforge.compute.files import file_hash
from segforge.errors import SegForgeError
from segforge.images.image import Image
from segforge.inference.export import CaseLogits, labels_of
from segforge.inference.sliding_window import Allocate, SlidingWindow, zeros_in_memory
from segforge.networks.build import build_for_inference
from segforge.networks.checkpoint import load_checkpoint
from segforge.networks.model_folder import FINAL, ModelFolder
from segforge.preprocessing.forecast import shape_in_network
from segforge.preprocessing.preprocessor import PreprocessedCase, Preprocessor

Array = npt.NDArray[Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionSettings:
    """How to predict.

    Attributes:
        mirroring: Whether the mirrored copies of each tile are averaged too.
        step: Distance of tiles as a share of the patch, above 0 and at most 1.
        precision: In what the networks compute; `auto` takes the reduced one that the device has, if it has one.
    """

    mirroring: bool = True
    step: float = 0.5
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.step <= 1:
            raise SegForgeError(f"--tile-step must be above 0 and at most 1; found {self.step:g}.")


@dataclass(frozen=True)
class PreparedCase:
    """A case before the networks.

    Attributes:
        case: It preprocessed; None if the previous stage has to be predicted first.
        image: It as read, if the previous stage has to be predicted first.
        previous: It prepared for the previous stage.
    """

    case: PreprocessedCase | None
    image: Image | None = None
    previous: "PreparedCase | None" = None


class LoadedModel:
    """The networks of some folds of a model.

    Attributes:
        name: Name of the model's folder.
        folds: The folds.
        weights: Hashes of the checkpoints, one per fold.
        plan: Hash of its plans and the description of its data set.
        networks: One per fold, in that order.
        description: The description of the data set that it was trained on.
        plans: Its plans.
        configuration: Its configuration.
        labels: Its labels.
        fingerprint: The fingerprint of that data set, where the model has it.
        device: Where it computes.
        window: Its sliding window.
        previous: The model of the previous stage, for a cascade that predicts it by itself.
    """

    def __init__(
        self,
        model: ModelFolder,
        folds: Sequence[str],
        device: torch.device,
        settings: PredictionSettings = PredictionSettings(),
        *,
        checkpoint: str = FINAL,
        previous: "LoadedModel | None" = None,
    ) -> None:
        """Load the weights.

        Args:
            model: The model's folder.
            folds: Folds whose logits are averaged.
            device: Where to compute.
            settings: How to predict.
            checkpoint: File name of the checkpoint in each fold's folder.
            previous: The model of the previous stage.

        Raises:
            SegForgeError: If a file is missing or damaged.
        """
        self.name, self.folds, self.previous = model.path.name, tuple(folds), previous
        self.description, self.plans = model.description, model.plans
        _, self.configuration = model.configuration(self.plans)
        self.labels = self.description.label_scheme
        self.fingerprint = model.fingerprint
        self.device = device
        self._preprocess = Preprocessor(self.plans, self.configuration, self.labels, self._placed)
        paths = [model.fold(fold).path / checkpoint for fold in folds]
        self.weights = tuple(file_hash(path) for path in paths)
        self.plan = hashlib.sha256((self.plans.to_json() + self.description.to_json()).encode()).hexdigest()
        checkpoints = [load_checkpoint(path) for path in paths]
        self.networks = [
            build_for_inference(loaded.facts.architecture, loaded.weights, str(path)).to(device)
            for loaded, path in zip(checkpoints, paths, strict=True)
        ]
        self._mirror_axes = checkpoints[0].facts.mirror_axes if settings.mirroring else ()
        self._settings = settings
        self.window = self._window_on(device)

    @property
    def made_from(self) -> dict[str, str]:
        """What decides its results: hashes of all weights, and the settings."""
        settings = self._settings
        own = {f"{self.name} fold {fold}": weights for fold, weights in zip(self.folds, self.weights, strict=True)}
        own[f"{self.name} plans"] = self.plan
        numbers = {"mirroring": str(settings.mirroring), "step": str(settings.step), "precision": settings.precision}
        return (self.previous.made_from if self.previous else {}) | own | numbers

    def prepare(self, image: Image, previous: Array | None = None) -> PreparedCase:
        """Preprocess an image.

        Args:
            image: The image.
            previous: For a cascade the class map `(1, Z, Y, X)` of the previous stage; None lets it be predicted.

        Raises:
            SegForgeError: If there is neither a map nor a model of the previous stage.
        """
        stage = self.configuration.previous_stage
        if stage is None:
            return PreparedCase(self._preprocess(image))
        if previous is not None:
            case = self._preprocess(image, previous, with_locations=False)
            return PreparedCase(replace(case, previous=case.classes))
        if self.previous is None:
            raise SegForgeError(
                f"{self.name} needs the prediction of {stage}, of which there is no trained model beside it. Put that model "
                "there, or give its label maps with --previous-stage DIR."
            )
        return PreparedCase(None, image, self.previous.prepare(image))

    def predict(
        self,
        prepared: PreparedCase,
        advance: Callable[[], object] = lambda: None,
        allocate: Allocate = zeros_in_memory,
    ) -> CaseLogits:
        """The mean logits of the folds for a prepared case.

        Args:
            prepared: The case.
            advance: Called after each tile.
            allocate: Gives zeros on the host for logits that the device has no room for.
        """
        if prepared.case is not None:
            return self.logits(prepared.case, advance, allocate)
        assert self.previous is not None and prepared.previous is not None and prepared.image is not None
        before = labels_of([self.previous.predict(prepared.previous, advance, allocate)], self.labels)
        return self.predict(self.prepare(prepared.image, self.labels.to_classes(before)[None]), advance, allocate)

    def logits(
        self,
        case: PreprocessedCase,
        advance: Callable[[], object] = lambda: None,
        allocate: Allocate = zeros_in_memory,
    ) -> CaseLogits:
        """The mean logits of the folds for a preprocessed case, for a cascade with the map of the previous stage."""
        if self.configuration.previous_stage and case.previous is None:
            raise SegForgeError(
                f"{self.name} needs the prediction of {self.configuration.previous_stage} as an input. Give its label map too."
            )
        image = case.network_input(self.further_inputs)
        try:
            values: Any = self.window.logits(image, advance, allocate)
        except torch.OutOfMemoryError:
            log.warning("The device has too little memory for a patch of %s; this case goes on the processor.", self.name)
            torch.cuda.empty_cache()
            values = self._window_on(torch.device("cpu")).logits(image, advance, allocate)
        return CaseLogits.of(values, case.properties, self.plans, self.configuration)

    def shape_in_network(self, shape: Sequence[int], spacing: Sequence[float]) -> tuple[int, ...]:
        """Voxels per axis of a case before the network, as far as its grid (stored axes) tells: without any crop."""
        return shape_in_network(shape, spacing, self.plans, self.configuration)

    @property
    def further_inputs(self) -> int:
        """Input channels besides the image's: one for each label of the previous stage."""
        return self.labels.classes - 1 if self.configuration.previous_stage else 0

    def _placed(self, channels: Array) -> Any:
        """On CUDA images are resampled there, if there is room for them."""
        if self.device.type != "cuda":
            return channels
        try:
            return torch.from_numpy(channels).to(self.device)
        except torch.OutOfMemoryError:
            return channels

    def _window_on(self, device: torch.device) -> SlidingWindow:
        networks = self.networks if device == self.device else [copy.deepcopy(network).to(device) for network in self.networks]
        precision = self._settings.precision
        return SlidingWindow(
            networks,
            self.configuration.patch_size,
            self.labels.heads,
            mirror_axes=self._mirror_axes,
            step=self._settings.step,
            device=device,
            precision=fastest_precision(device) if precision == "auto" else precision,
        )
