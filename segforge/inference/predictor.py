"""Trained models, loaded once, that turn images into label maps."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from torch import nn

from segforge.compute.memory import memory_budget
from segforge.dataset.description import DatasetDescription
from segforge.dataset.inputs import find_inputs, refuse_volumes
from segforge.errors import SegForgeError
from segforge.images.image import IDENTITY, Geometry, Image
from segforge.inference.export import CaseLogits, labels_of, probabilities_of
from segforge.inference.finished_cases import FinishedCases
from segforge.inference.loaded_model import LoadedModel, PreparedCase
from segforge.inference.postprocessing import Postprocessing
from segforge.inference.predict_folder import FolderSettings, predict_folder
from segforge.inference.probabilities import ProbabilityType
from segforge.inference.sliding_window import Allocate, zeros_in_memory

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Predictor:
    """One model, or several whose probabilities are averaged, and what is done with their label maps.

    May be called from several threads; starts no process.

    Attributes:
        members: The models.
        postprocessing: Steps for the label maps; None for none.
    """

    members: tuple[LoadedModel, ...]
    postprocessing: Postprocessing | None = None

    def __post_init__(self) -> None:
        first = self.members[0]
        for other in self.members[1:]:
            if other.labels != first.labels or len(other.description.channels) != len(first.description.channels):
                raise SegForgeError(
                    f"{other.name} and {first.name} have different labels or channels and cannot be averaged. Choose one."
                )

    @property
    def description(self) -> DatasetDescription:
        """The description of the data set that the models were trained on."""
        return self.members[0].description

    @property
    def networks(self) -> list[nn.Module]:
        """The networks of all folds of all models; those of previous stages are in `members[n].previous`."""
        return [network for member in self.members for network in member.networks]

    @overload
    def predict_array(self, array: Array, spacing: Sequence[float], *, probabilities: Literal[False] = False) -> Array: ...

    @overload
    def predict_array(self, array: Array, spacing: Sequence[float], *, probabilities: Literal[True]) -> tuple[Array, Array]: ...

    def predict_array(
        self, array: Array, spacing: Sequence[float], *, probabilities: bool = False
    ) -> Array | tuple[Array, Array]:
        """The label map `(Z, Y, X)` of an array, in stored values.

        Args:
            array: `(C, Z, Y, X)`, or `(Z, Y, X)` for one channel, axes and intensities as in the training's files.
            spacing: Voxel size along (z, y, x) in mm.
            probabilities: Whether to return the heads' probabilities `(heads, Z, Y, X)` float32 too.

        Raises:
            SegForgeError: If the number of channels or axes is not the model's, or a value is not finite.
        """
        image = self._image(array, spacing)
        logits = self.predict(self.prepare(image))
        labels = self.export(logits)
        return (labels, np.stack(list(self.probabilities(logits)))) if probabilities else labels

    def predict_arrays(self, arrays: Iterable[tuple[Array, Sequence[float]]]) -> list[Array]:
        """The label maps of several arrays with their voxel sizes, see `predict_array`."""
        return [self.predict_array(array, spacing) for array, spacing in arrays]

    def predict_cases(self, cases: Iterable[tuple[str, Image]]) -> Iterator[tuple[str, Array]]:
        """The label map of each image as soon as it is asked for, under the name that came with it."""
        for name, image in cases:
            yield name, self.predict_image(image)

    def predict_image(self, image: Image) -> Array:
        """The label map `(Z, Y, X)` of an image `(C, Z, Y, X)` float32, in stored values."""
        return self.export(self.predict(self.prepare(image)))

    def predict_files(
        self,
        images: Path | Sequence[Path],
        output: Path,
        *,
        ending: str | None = None,
        probabilities: ProbabilityType | None = None,
        previous_stage: Path | None = None,
        threads: int = 1,
        max_memory: float | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> int:
        """Predict files into a folder; goes on where it stopped.

        Args:
            images: A folder, files, or a JSON list of cases (`segforge.dataset.inputs`).
            output: Folder for the label maps and `prediction.json`.
            ending: Ending of the label maps, which says their format; None takes that of the training's.
            probabilities: Type in which probabilities are written as `CASE.npz` too; None for none.
            previous_stage: For a cascade a folder of label maps of the previous stage; None predicts them.
            threads: Threads that read, and as many that write, beside the networks; 0 for none.
            max_memory: GB that cases may take; None takes four fifths of what is free.
            part: Number, from 0, and count of the parts of the cases, of which this call does one.

        Returns:
            Number of cases that had to be predicted.

        Raises:
            SegForgeError: If there is no case, the format cannot hold volumes, or the folder holds predictions that were made
                from something else.
            CasesFailed: If cases failed; names each with its reason. The others are written.
        """
        inputs = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
        number, count = part
        listing = find_inputs(inputs, self.description).part(number, count)
        settings = FolderSettings(
            Path(output),
            ending or self.description.output_ending,
            probabilities=probabilities,
            previous=previous_stage,
            threads=threads,
            budget=memory_budget(max_memory),
        )
        refuse_volumes(listing.cases, settings.ending)
        names = " and ".join(member.name for member in self.members)
        own_record = f"_part_{number}_of_{count}" if count > 1 else ""
        return predict_folder(self, listing, FinishedCases(settings.output, names, self.made_from, part=own_record), settings)

    @property
    def made_from(self) -> dict[str, str]:
        """What decides the results: hashes of all weights, the settings, and the postprocessing."""
        steps = {"postprocessing": self.postprocessing.to_json()} if self.postprocessing else {}
        return {key: value for member in self.members for key, value in member.made_from.items()} | steps

    def prepare(self, image: Image, previous: Array | None = None) -> tuple[PreparedCase, ...]:
        """Preprocess an image for each model.

        Args:
            image: The image.
            previous: For a cascade the label map `(Z, Y, X)` of the previous stage, stored values; None predicts it.
        """
        classes = None if previous is None else self.members[0].labels.to_classes(previous)[None]
        return tuple(member.prepare(image, classes) for member in self.members)

    def predict(
        self,
        prepared: Sequence[PreparedCase],
        advance: Callable[[], object] = lambda: None,
        allocate: Allocate = zeros_in_memory,
    ) -> tuple[CaseLogits, ...]:
        """What each model says of a prepared case.

        Args:
            prepared: The case, from `prepare`.
            advance: Called after each tile.
            allocate: Gives zeros on the host for logits that the device has no room for.
        """
        pairs = zip(self.members, prepared, strict=True)
        return tuple(member.predict(case, advance, allocate) for member, case in pairs)

    def export(self, logits: Sequence[CaseLogits]) -> Array:
        """The label map `(Z, Y, X)` of a case, postprocessed, in stored axes and values."""
        labels = labels_of(logits, self.members[0].labels)
        return labels if self.postprocessing is None else self.postprocessing.apply(labels)

    def probabilities(self, logits: Sequence[CaseLogits]) -> Iterator[Array]:
        """The probabilities `(Z, Y, X)` of each head in turn, float32, in stored axes."""
        return probabilities_of(logits, self.members[0].labels)

    def _image(self, array: Array, spacing: Sequence[float]) -> Image:
        channels = np.asarray(array, np.float32)
        channels = channels[None] if channels.ndim == 3 else channels
        expected = len(self.description.channels)
        if channels.ndim != 4 or channels.shape[0] != expected or len(spacing) != 3 or min(spacing) <= 0:
            raise SegForgeError(
                f"The model needs {expected} channels (C, Z, Y, X) and three spacings above 0; "
                f"found {np.shape(array)}, {tuple(spacing)}."
            )
        if not np.isfinite(channels).all():
            raise SegForgeError("The array holds NaN or infinity. Replace such voxels, for example by 0.")
        z, y, x = channels.shape[1:]
        geometry = Geometry((z, y, x), (float(spacing[0]), float(spacing[1]), float(spacing[2])), (0.0, 0.0, 0.0), IDENTITY)
        return Image(channels, geometry)
