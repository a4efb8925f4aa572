"""Plans that already exist: kept beside new ones, or moved to another data set."""

import logging
import math
from pathlib import Path
from typing import Any

from segforge.compute.documents import read_json, to_json
from segforge.compute.files import move_aside, write_text
from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.planning.drafts import CASCADE, FULL, LOW, SLICES
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.plans import Configuration, Plans

log = logging.getLogger(__name__)

PLANNED = (SLICES, FULL, LOW, CASCADE)
"""Names that belong to the planner; configurations of a user have others."""


def write_revised(path: Path, plans: Plans) -> Plans:
    """Write new plans to `path`, with the configurations that a user added to the old ones, as they were written.

    Old plans whose own configurations were other are kept aside, and that is said.

    Returns:
        The plans with the user's configurations.

    Raises:
        SegForgeError: If the old file is damaged, or what a user added no longer works with the new plans.
    """
    before = _configurations(path)
    content = plans.model_dump(mode="json")
    content["configurations"] |= {name: item for name, item in before.items() if name not in PLANNED}
    kept = Plans.parse(content, f"{path} (the new plans with the configurations that were added by hand)")
    changed = [name for name in PLANNED if name in before and before[name] != content["configurations"].get(name)]
    if changed:
        aside = move_aside(path)
        log.warning("The plans %s change in %s; the old ones are kept as %s.", plans.name, ", ".join(changed), aside.name)
    write_text(path, to_json(content), durable=True)
    return kept


def moved_plans(plans: Plans, fingerprint: Fingerprint, description: DatasetDescription, *, dataset: str, name: str) -> Plans:
    """The plans for another data set: its own intensities and labels, all else as it was.

    Raises:
        SegForgeError: If the channels do not fit.
    """
    channels, labels = len(plans.intensities), description.label_scheme
    if channels != len(description.channels):
        raise SegForgeError(
            f"The plans {plans.name} of {plans.dataset} are for {channels} image channels, "
            f"{dataset} has {len(description.channels)}. Plan it by itself: segforge plan -d {dataset}"
        )
    folders: dict[str, str] = {}
    configurations = {}
    for key, item in plans.configurations.items():
        folders.setdefault(item.data, f"{name}_{key}")
        inputs = channels + (labels.classes - 1 if item.previous_stage else 0)
        configurations[key] = _moved(item, folders[item.data], inputs, labels.heads)
        _refuse_missing_intensities(item, fingerprint, dataset)
    changed = {"dataset": dataset, "name": name, "intensities": fingerprint.intensities, "configurations": configurations}
    return Plans.parse(plans.model_copy(update=changed).model_dump(mode="json"), f"The plans {plans.name} for {dataset}")


def _moved(configuration: Configuration, data: str, inputs: int, heads: int) -> Configuration:
    spec = configuration.architecture.model_copy(update={"input_channels": inputs, "output_channels": heads})
    return configuration.model_copy(update={"data": data, "architecture": spec, "inherits_from": None})


def _refuse_missing_intensities(configuration: Configuration, fingerprint: Fingerprint, dataset: str) -> None:
    for spec, facts in zip(configuration.normalization, fingerprint.intensities, strict=True):
        if spec.name == "ct" and math.isnan(facts.mean):
            raise SegForgeError(f"{dataset} has no foreground at all, by which the plans normalize CT. Correct its labels.")


def _configurations(path: Path) -> dict[str, Any]:
    """The configurations of plans as they stand in a file, not completed; empty if there is no file."""
    if not path.is_file():
        return {}
    content = read_json(path)
    configurations = content.get("configurations") if isinstance(content, dict) else None
    if not isinstance(configurations, dict):
        raise SegForgeError(f"{path} is damaged: it has no configurations. Remove it to plan anew.")
    return configurations
