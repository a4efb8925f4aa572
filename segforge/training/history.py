"""What happened in each epoch: `history.jsonl`, and `progress.png` drawn from it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from segforge.compute.documents import without_nan
from segforge.compute.files import append_line, write_text
from segforge.figures.curves import Curve, Panel, draw_panels


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: Its number, from 0.
        learning_rate: Of all its steps.
        train_loss: Mean over its training steps.
        validation_loss: Mean over its validation steps.
        pseudo_dice: By name of the structure, None where it did not occur.
        mean_pseudo_dice: Mean over the structures that occurred.
        ema: Moving average of that.
        seconds: Wall time.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    pseudo_dice: dict[str, float | None]
    mean_pseudo_dice: float | None
    ema: float | None
    seconds: float


class History:
    """The epochs so far, on disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "history.jsonl"
        self._picture = folder / "progress.png"

    def append(self, record: EpochRecord) -> None:
        """Add an epoch."""
        append_line(self._path, json.dumps(without_nan(asdict(record))))

    def cut_back(self, epochs: int, last: EpochRecord | None = None) -> None:
        """Keep only the first epochs: what a checkpoint stands for.

        Args:
            epochs: How many.
            last: The last of them, added where a process was killed before it wrote it down.
        """
        kept = [record for record in self.read() if record.epoch < epochs]
        if last and len(kept) < epochs:
            kept.append(last)
        write_text(self._path, "".join(json.dumps(asdict(record)) + "\n" for record in kept))

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
        x = [record.epoch for record in records]
        names = list(records[-1].pseudo_dice) if records else []
        dice = [Curve(name, [record.pseudo_dice.get(name) for record in records]) for name in names]
        draw_panels(
            self._picture,
            x,
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
                    [*dice, Curve("moving average", [r.ema for r in records], bold=True)],
                    (0, 1),
                ),
                Panel("learning rate", [Curve("", [record.learning_rate for record in records])]),
                Panel("seconds per epoch", [Curve("", [record.seconds for record in records])]),
            ],
        )
