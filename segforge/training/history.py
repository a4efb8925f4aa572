"""What happened in each epoch: `history.jsonl`, and `progress.png` drawn from it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segforge.compute.documents import without_nan
from segforge.compute.files import append_line, write_text
from segforge.figures.curves import Curve, Panel, draw_panels

_NOT_ALWAYS_TOLD = ("iterations", "full_volume_dice", "mean_full_volume_dice")


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: Its number, from 0.
        learning_rate: Of its last step; within a number of epochs that of all of them.
        train_loss: Mean over its training steps.
        validation_loss: Mean over its validation steps.
        pseudo_dice: By name of the structure, None where it did not occur.
        mean_pseudo_dice: Mean over the structures that occurred.
        ema: Moving average of that.
        seconds: Wall time.
        full_volume_dice: Dice of whole validation cases by name of the structure, in epochs that measure it.
        mean_full_volume_dice: Mean over the structures that occur in them.
        iterations: Its training steps, where they are not those of the settings.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    pseudo_dice: dict[str, float | None]
    mean_pseudo_dice: float | None
    ema: float | None
    seconds: float
    full_volume_dice: dict[str, float | None] | None = None
    mean_full_volume_dice: float | None = None
    iterations: int | None = None

    def content(self) -> dict[str, Any]:
        """What is written down, without what goes without saying or was not measured."""
        return {name: value for name, value in asdict(self).items() if value is not None or name not in _NOT_ALWAYS_TOLD}


class History:
    """The epochs so far, on disk.

    Attributes:
        picture: File of their picture, once it is drawn.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "history.jsonl"
        self.picture = folder / "progress.png"

    def append(self, record: EpochRecord) -> None:
        """Add an epoch."""
        append_line(self._path, json.dumps(without_nan(record.content())))

    def cut_back(self, epochs: int, last: EpochRecord | None = None) -> None:
        """Keep only the first epochs: what a checkpoint stands for.

        Args:
            epochs: How many.
            last: The last of them, added where a process was killed before it wrote it down.
        """
        kept = [record for record in self.read() if record.epoch < epochs]
        if last and len(kept) < epochs:
            kept.append(last)
        write_text(self._path, "".join(json.dumps(without_nan(record.content())) + "\n" for record in kept))

    def read(self) -> list[EpochRecord]:
        """All epochs, in order; a line that a killed process left half is passed over."""
        if not self._path.is_file():
            return []
        records = []
        for line in self._path.read_text(errors="replace").splitlines():
            try:
                records.append(EpochRecord(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return records

    def draw(self) -> None:
        """Draw losses, pseudo-Dice, learning rate and epoch time."""
        records = self.read()
        names = list(records[-1].pseudo_dice) if records else []
        draw_panels(
            self.picture,
            [record.epoch for record in records],
            "epoch",
            [
                Panel(
                    "loss",
                    [
                        Curve("training", [record.train_loss for record in records]),
                        Curve("validation", [record.validation_loss for record in records]),
                    ],
                ),
                Panel(
                    "pseudo-Dice (validation patches)",
                    [
                        *(Curve(name, [record.pseudo_dice.get(name) for record in records]) for name in names),
                        Curve("moving average", [record.ema for record in records], bold=True),
                    ],
                    (0, 1),
                ),
                *_full_volume_panels(records, names),
                Panel("learning rate", [Curve("", [record.learning_rate for record in records])]),
                Panel("seconds per epoch", [Curve("", [record.seconds for record in records])]),
            ],
        )


def _full_volume_panels(records: Sequence[EpochRecord], names: Sequence[str]) -> list[Panel]:
    """A panel, if it was measured."""
    if not any(record.full_volume_dice for record in records):
        return []
    mean = Curve("mean", _held([record.mean_full_volume_dice for record in records]), bold=True)
    curves = [Curve(name, _held([(record.full_volume_dice or {}).get(name) for record in records])) for name in names]
    return [Panel("full-volume Dice (whole validation cases)", [*curves, mean], (0, 1))]


def _held(values: Sequence[float | None]) -> list[float | None]:
    """Each value until the next one: single points are hard to see among a thousand epochs."""
    held: list[float | None] = []
    for value in values:
        held.append(held[-1] if value is None and held else value)
    return held
