"""nnU-Net's results, `nnUNet_results`: its models are found and described where they lie; nothing is written there."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from segforge.compute.documents import read_json
from segforge.dataset.description import FILE_NAME as DESCRIPTION
from segforge.dataset.description import read_description
from segforge.errors import SegForgeError
from segforge.networks.model_folder import PLANS
from segforge.sharing.card import ModelCard, Provenance, new_card
from segforge.sharing.nnunet_model import dice_of_folds, folds_of, is_nnunet_model
from segforge.sharing.nnunet_plans import plans_from_nnunet, with_reader

log = logging.getLogger(__name__)


def models_in_place(results: Path | None) -> list[Path]:
    """The folders of all models, `DatasetXXX_Name/TRAINER__PLANS__CONFIGURATION`; none without the place."""
    if results is None:
        return []
    return sorted(folder for folder in results.glob("Dataset*/*__*__*") if is_nnunet_model(folder))


def model_in_place(results: Path | None, dataset: str, *, asked: Sequence[str | None]) -> Path | None:
    """The one model of a data set that fits; None if none does.

    Args:
        results: nnU-Net's results.
        dataset: Folder name of the data set.
        asked: Trainer, plans and configuration, in nnU-Net's words; None takes any.

    Raises:
        SegForgeError: If several fit; lists them.
    """
    fitting = [
        folder
        for folder in models_in_place(results)
        if folder.parent.name == dataset
        and all(wanted in (None, part) for wanted, part in zip(asked, folder.name.split("__"), strict=False))
    ]
    if len(fitting) > 1:
        names = ", ".join(folder.name for folder in fitting)
        raise SegForgeError(f"Several models in {results} fit: {names}. Choose one with -c, -p, -tr.")
    return fitting[0] if fitting else None


def cards_in_place(results: Path | None) -> Iterator[tuple[Path, ModelCard]]:
    """Folder and card of each model; one that SegForge cannot use is named in a warning."""
    for folder in models_in_place(results):
        try:
            yield folder, _card(folder)
        except SegForgeError as error:
            log.warning("%s is left out: %s", folder, error)


def _card(folder: Path) -> ModelCard:
    content = read_json(folder / PLANS)
    description = with_reader(read_description(folder / DESCRIPTION), content)
    plans = plans_from_nnunet(content, description, str(folder / PLANS))
    trainer, _, configuration = folder.name.split("__", maxsplit=2)
    return new_card(
        plans,
        description,
        plans.configuration(configuration),
        model=folder.name,
        folds=folds_of(folder),
        dice=dice_of_folds(folder),
        provenance=Provenance(program=f"nnU-Net, {trainer}", source="nnUNet_results"),
    )
