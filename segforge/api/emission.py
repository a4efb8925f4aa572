"""`segforge run --emit` as a function: the experiment as job scripts."""

from collections.abc import Sequence
from pathlib import Path

from segforge.api.command_words import training_words
from segforge.api.experiment import FIND_BEST, Experiment, open_experiment, selection_line, training_line
from segforge.api.training import TrainingOptions
from segforge.compute.files import make_folder, write_text
from segforge.errors import SegForgeError, did_you_mean
from segforge.experiment.jobs import FOLD, SYSTEMS, JobResources, Stage, job_scripts
from segforge.planning.plans import read_plans
from segforge.workspace import find_workspace

PREPARE = "prepare"


def emit(
    dataset: int | str,
    system: str,
    folder: Path,
    *,
    resources: Path | None = None,
    configurations: Sequence[str] | None = None,
    folds: Sequence[int | str] | None = None,
    plans: str = "default",
    name: str | None = None,
    trainer: str = "default",
    options: TrainingOptions | None = None,
    workspace: Path | None = None,
) -> list[Path]:
    """Write job scripts for a batch system; nothing is submitted.

    Args:
        dataset: Number or name of the data set, which is planned.
        system: `slurm`, `pbs` or `lsf`.
        folder: Where to write them.
        resources: A TOML file of what the jobs ask for; None takes defaults.
        configurations: Those to train; None trains all that are planned.
        folds: Folds to train; None trains all.
        plans: Name of the plans.
        name: Name of the trainings; None takes the trainer's.
        trainer: Name of the trainer.
        options: Numbers of the trainings.
        workspace: The workspace folder; None finds it.

    Returns:
        The scripts, `submit.sh` last.

    Raises:
        SegForgeError: If there is no such system, the data set is not planned, or a file is wrong.
    """
    if system not in SYSTEMS:
        raise SegForgeError(f"{system} is no batch system here. There are {', '.join(SYSTEMS)}.{did_you_mean(system, SYSTEMS)}")
    asked = JobResources.read(resources) if resources else JobResources()
    place = find_workspace(workspace).absolute
    found = read_plans(place.preprocessed / place.dataset_name(str(dataset)), plans)
    experiment = open_experiment(
        place, str(dataset), found, name=name, trainer=trainer, configurations=configurations, folds=folds
    )
    options = options or TrainingOptions()
    experiment.refuse_other_settings(options)
    stages = _stages(experiment, training_words(options))
    folder = folder.resolve()
    make_folder(folder)
    scripts = job_scripts(stages, SYSTEMS[system], asked, folder)
    for file, text in scripts.items():
        write_text(folder / file, text)
    return [folder / file for file in scripts]


def _stages(experiment: Experiment, words: Sequence[str]) -> list[Stage]:
    """Preprocessing, an array of trainings for each configuration, and the selection."""
    configurations = list(dict.fromkeys(training.configuration for training in experiment.trainings))
    workspace = ["--workspace", str(experiment.place.root)]
    prepare = ["preprocess", "-d", experiment.raw.folder.name, "-p", experiment.plans.name, "-c", *configurations, *workspace]
    stages = [Stage(PREPARE, "prepare", tuple(prepare))]
    for configuration in configurations:
        own = [training for training in experiment.trainings if training.configuration == configuration]
        previous = experiment.plans.configuration(configuration).previous_stage
        before = f"train_{previous}" if previous else PREPARE
        line = training_line(experiment, configuration, FOLD, words)
        stages.append(Stage(f"train_{configuration}", "train", line, tuple(training.fold for training in own), (before,)))
    needs = tuple(stage.name for stage in stages[1:])
    return [*stages, Stage(FIND_BEST, "select", selection_line(experiment, None), (), needs)]
