"""What a prediction will take, known before its first case: tiles, time and memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segforge.compute.device import describe_device
from segforge.compute.usage import peak_memory
from segforge.compute.wording import counted, duration, size
from segforge.dataset.cases import Case
from segforge.images.files import read_grid
from segforge.images.image import Geometry
from segforge.inference.loaded_model import LoadedModel
from segforge.preprocessing.resampling import SLAB_BYTES

if TYPE_CHECKING:
    from segforge.inference.predictor import Predictor

_FLOAT = 4
_SLABS = 4 * SLAB_BYTES  # that export makes at once, of images that are larger
_SECONDS_PER_VOXEL = 4e-8  # to read, preprocess and export one, on one core


@dataclass(frozen=True)
class Forecast:
    """What cases will take.

    Attributes:
        tiles: Of each case whose grid its files' headers tell, at most: what is 0 at its border is not cut off.
        memory_of: Bytes that each of those cases takes on its way.
        passes: How often a tile goes through a network.
        seconds: Until all are predicted; of the cases whose grids are known.
        memory: Bytes of the whole process.
        cases: Number of cases.
        device: The device, in words.
    """

    tiles: dict[str, int]
    memory_of: dict[str, int]
    passes: int
    seconds: float
    memory: int
    cases: int
    device: str

    def __str__(self) -> str:
        unknown = counted(self.cases - len(self.tiles), "case")
        passes = f"{counted(self.passes, 'pass', 'passes')} through networks"
        if not self.tiles:
            return f"{unknown} of unknown size, {passes} for each tile."
        further = f" and {self.cases - len(self.tiles)} of unknown size" if self.cases > len(self.tiles) else ""
        return (
            f"{counted(len(self.tiles), 'case')}{further}: {counted(sum(self.tiles.values()), 'tile')}, {passes} each; "
            f"about {duration(self.seconds)} on {self.device}, {size(self.memory)} of memory."
        )


def forecast_cases(predictor: "Predictor", cases: Sequence[Case]) -> Forecast:
    """Look at the headers of the cases' files, and send some tiles through the networks."""
    canonical = predictor.description.is_canonical
    grids = {case.id: read_grid(case.images[0], canonical=canonical) for case in cases}
    known = {case: grid for case, grid in grids.items() if grid is not None}
    stages = [stage for member in predictor.members for stage in _stages(member)]
    rates = [stage.window.seconds_per_tile(len(stage.description.channels) + stage.further_inputs) for stage in stages]
    tiles = {case: [_tiles(stage, grid) for stage in stages] for case, grid in known.items()}
    memory_of = {case: sum(_memory(stage, grid) for stage in stages) for case, grid in known.items()}
    voxels = sum(int(np.prod(grid.shape)) for grid in known.values())
    two = sorted(memory_of.values())[-2:]
    slabs = min(_SLABS, max((_in_one_piece(stages[-1], grid) for grid in known.values()), default=_SLABS))
    return Forecast(
        tiles={case: sum(counts) for case, counts in tiles.items()},
        memory_of=memory_of,
        passes=stages[-1].window.passes,
        seconds=sum(float(np.dot(rates, counts)) for counts in tiles.values()) + voxels * _SECONDS_PER_VOXEL,
        memory=peak_memory() + sum(two) + slabs,
        cases=len(cases),
        device=describe_device(predictor.members[0].device),
    )


def _stages(model: LoadedModel) -> list[LoadedModel]:
    return [*(_stages(model.previous) if model.previous else []), model]


def _tiles(model: LoadedModel, grid: Geometry) -> int:
    return model.window.tiles(model.shape_in_network(grid.shape, grid.spacing))


def _in_one_piece(model: LoadedModel, grid: Geometry) -> int:
    """Bytes of all logits on the image's grid, and of half of them on the way there."""
    return 3 * _FLOAT * model.labels.heads * int(np.prod(grid.shape)) // 2


def _memory(model: LoadedModel, grid: Geometry) -> int:
    """The most that a case takes at once: while it is preprocessed, or while its logits are summed."""
    channels, voxels = len(model.description.channels), int(np.prod(grid.shape))
    inside = int(np.prod(model.shape_in_network(grid.shape, grid.spacing)))
    preprocessing = _FLOAT * channels * (2 * voxels + inside)
    network = _FLOAT * inside * (channels + model.further_inputs + model.labels.heads + 1)
    return max(preprocessing, network, _FLOAT * inside * model.labels.heads + voxels)
