"""Plans that already exist: kept beside new ones, or moved to another data set."""

from pathlib import Path
from typing import Any

from segforge.compute.documents import read_json, to_json
from segforge.compute.files import write_text
from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.planning.drafts import CASCADE, FULL, LOW, SLICES
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.plans import Configuration, Plans

_PLANNED = {SLICES, FULL, LOW, CASCADE}


def keep_user_configurations(path: Path, plans: Plans) -> Plans:
    """Write new plans to `path` with the configurations that a user added to the old ones, as they were written.

    Raises:
        SegForgeError: If the old file is damaged, or what a user added no longer works with the new plans.
    """
    content = plans.model_dump(mode="json")
    content["configurations"] |= _added_by_user(path)
    kept = Plans.parse(content, f"{path} (the new plans with the configurations that were added by hand)")
    write_text(path, to_json(content), durable=True)
    return kept


def moved_plans(plans: Plans, fingerprint: Fingerprint, description: DatasetDescription, *, dataset: str, name: str) -> Plans:
    """The plans for another data set: its own intensities and labels, all else as it was.

    Raises:
        SegForgeError: If the data sets have different numbers of channels.
    """
    if len(plans.intensities) != len(description.channels):
        raise SegForgeError(
            f"The plans {plans.name} of {plans.dataset} are for {len(plans.intensities)} image channels, "
            f"{dataset} has {len(description.channels)}. Plan it by itself."
        )
    labels = description.label_scheme
    configurations = {key: _moved(item, f"{name}_{key}", labels.heads, len(plans.intensities), labels.classes - 1)
                      for key, item in plans.configurations.items()}  # fmt: skip
    changed = {"dataset": dataset, "name": name, "intensities": fingerprint.intensities, "configurations": configurations}
    return plans.model_copy(update=changed)


def _moved(configuration: Configuration, data: str, heads: int, channels: int, foreground: int) -> Configuration:
    inputs = channels + (foreground if configuration.previous_stage else 0)
    spec = configuration.architecture.model_copy(update={"input_channels": inputs, "output_channels": heads})
    return configuration.model_copy(update={"data": data, "architecture": spec, "inherits_from": None})


def _added_by_user(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = read_json(path)
    configurations = content.get("configurations") if isinstance(content, dict) else None
    if not isinstance(configurations, dict):
        raise SegForgeError(f"{path} is damaged: it has no configurations. Remove it to plan anew.")
    return {name: item for name, item in configurations.items() if name not in _PLANNED}
