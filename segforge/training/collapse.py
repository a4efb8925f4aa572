"""The epochs so far -> the structures that a training does not find, and what to try."""

import math
from collections.abc import Collection, Sequence

from segforge.training.history import EpochRecord

_EPOCHS, _SHARE, _FEWEST = 20, 0.05, 5


def patience(epochs: int) -> int:
    """Epochs after which something should have been found: 20, or a twentieth of a long training; 5 to half of a short one."""
    return min(max(_EPOCHS, math.ceil(_SHARE * epochs)), max(_FEWEST, epochs // 2))


def not_found(records: Sequence[EpochRecord], epochs: int) -> list[str]:
    """Structures whose pseudo-Dice has now been 0 as often in a row as one may wait for it: each is named in one epoch only.

    Args:
        records: The epochs so far.
        epochs: Epochs of the whole training.
    """
    waited = patience(epochs)
    return [name for name, dice in records[-1].pseudo_dice.items() if dice == 0 and _zeros_in_a_row(records, name) == waited]


def advice(names: Collection[str], structures: int, epochs: int) -> str:
    """What to tell of structures that are not found.

    Args:
        names: The structures.
        structures: How many there are in all.
        epochs: Epochs of the whole training.
    """
    which = "every structure" if len(names) == structures else ", ".join(names)
    return (
        f"The pseudo-Dice of {which} has been 0 for {patience(epochs)} epochs. It may still rise; if it does not: look whether "
        "labels and images fit (segforge verify, segforge plot), then train under another --name with a lower --lr, with "
        "--foreground-share 0.5, with --optimizer adamw, or with --loss dice_topk."
    )


def _zeros_in_a_row(records: Sequence[EpochRecord], name: str) -> int:
    """Epochs up to the last one in which a structure was 0, those in which it did not occur left out."""
    count = 0
    for record in reversed(records):
        dice = record.pseudo_dice.get(name)
        if dice is not None and dice != 0:
            break
        count += dice == 0
    return count
