"""What a pilot has found, as text."""

from typing import TYPE_CHECKING

from segforge.cli.table import aligned

if TYPE_CHECKING:
    from segforge.experiment.outlook import ConfigurationOutlook, Outlook


def shown(outlook: "Outlook") -> str:
    """What a whole run will take, and whether it will get through."""
    from segforge.compute.wording import duration, size

    rows = [("configuration", "folds", "a step", "a training", "its validation", "memory", "of the device", "disk")]
    parts = [
        f"Tried on {', '.join(outlook.tried)} of {outlook.cases} cases of {outlook.dataset}.",
        aligned([*rows, *map(_row, outlook.configurations)]),
        f"All of it: {duration(outlook.seconds)} with {outlook.at_once} at once, {duration(outlook.preprocessing_seconds)} of "
        f"it preprocessing; {size(outlook.disk)} on disk of {size(outlook.free_disk)} that are free.",
        *outlook.advice,
        *(f"problem: {line}" for line in outlook.problems),
        "The run will not get through as it is." if outlook.problems else "The run will get through.",
    ]
    return "\n".join(parts)


def _row(one: "ConfigurationOutlook") -> tuple[str, ...]:
    from segforge.compute.wording import duration, size

    step = f"{one.step_seconds * 1000:.0f} ms" if one.step_seconds < 1 else f"{one.step_seconds:.1f} s"
    device = "-" if one.device_memory is None else size(one.device_memory)
    times = duration(one.training_seconds), duration(one.validation_seconds)
    return one.configuration, str(one.folds), step, *times, size(one.host_memory), device, size(one.checkpoints + one.logits)
