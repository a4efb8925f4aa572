"""`segforge run --emit` as a function: the experiment as job scripts."""

from collections.abc import Sequence
from pathlib import Path

from segforge.api.command_words import training_words
from segforge.api.experiment import FIND_BEST, Experiment, open_experiment, selection_line, training_line
from segforge.api.planning import Work
from segforge.api.training import TrainingOptions
from segforge.compute.files import make_folder, write_text
from segforge.errors import SegForgeError, did_you_mean
from segforge.experiment.batch_systems import SYSTEMS
from segforge.experiment.cluster_jobs import cluster_scripts
from segforge.experiment.job_resources import JobResources
from segforge.experiment.jobs import FOLD, Stage, job_scripts
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
    work: Work | None = None,
    device: str = "auto",
    workspace: Path | None = None,
) -> list[Path]:
    """Write job scripts for a batch system; nothing is submitted.

    Two ways to the same: `submit.sh` submits a job or an array for each stage, `cluster.sh` runs everything on a dask
    cluster of jobs.

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
        work: How to preprocess, by jobs.
        device: Of trainings and the selection.
        workspace: The workspace folder; None finds it.

    Returns:
        The scripts: one for each stage, `submit.sh`, `workers.sh`, `cluster.sh`.

    Raises:
        SegForgeError: If there is no such system, the data set is not planned, a file is wrong, or another executor is named.
    """
    work, options = work or Work(), options or TrainingOptions()
    if not work.where.is_local:
        raise SegForgeError("Job scripts take no --executor: one of them, cluster.sh, starts a dask cluster for itself.")
    if system not in SYSTEMS:
        raise SegForgeError(f"{system} is no batch system here. There are {', '.join(SYSTEMS)}.{did_you_mean(system, SYSTEMS)}")
    asked = JobResources.read(resources) if resources else JobResources()
    place = find_workspace(workspace).absolute
    found = read_plans(place.preprocessed / place.dataset_name(str(dataset)), plans)
    experiment = open_experiment(
        place, str(dataset), found, name=name, trainer=trainer, configurations=configurations, folds=folds
    )
    experiment.refuse_other_settings(options)
    gpus = ["--gpus", str(asked.train.gpus)] if asked.train.gpus > 1 else []
    words, devices = [*training_words(options), *gpus], ["--device", device] if device != "auto" else []
    stages, whole = _stages(experiment, words, devices, work), _run_line(experiment, [*words, *devices], work)
    at_once = sum(not training.needs for training in experiment.trainings)
    folder = folder.resolve()
    make_folder(folder)
    scripts = job_scripts(stages, SYSTEMS[system], asked, folder)
    scripts |= cluster_scripts(whole, at_once, SYSTEMS[system], asked, folder)
    for file, text in scripts.items():
        write_text(folder / file, text)
    return [folder / file for file in scripts]


def _stages(experiment: Experiment, words: Sequence[str], devices: Sequence[str], work: Work) -> list[Stage]:
    """Preprocessing, an array of trainings for each configuration, and the selection."""
    configurations = list(dict.fromkeys(training.configuration for training in experiment.trainings))
    prepare = ["preprocess", "-d", experiment.raw.folder.name, "-p", experiment.plans.name, "-c", *configurations]
    prepare += [*_work_words(work), "--workspace", str(experiment.place.root)]
    stages = [Stage(PREPARE, "prepare", tuple(prepare))]
    for configuration in configurations:
        own = [training for training in experiment.trainings if training.configuration == configuration]
        previous = experiment.plans.configuration(configuration).previous_stage
        before = f"train_{previous}" if previous else PREPARE
        line = training_line(experiment, configuration, FOLD, [*words, *devices])
        stages.append(Stage(f"train_{configuration}", "train", line, tuple(training.fold for training in own), (before,)))
    needs = tuple(stage.name for stage in stages[1:])
    return [*stages, Stage(FIND_BEST, "select", (*selection_line(experiment, work.workers), *devices), (), needs)]


def _run_line(experiment: Experiment, words: Sequence[str], work: Work) -> tuple[str, ...]:
    """What to type after `segforge` to run all of it."""
    name = ["--name", experiment.name] if experiment.name else []
    return (
        *("run", "-d", experiment.raw.folder.name, "-c", *experiment.configurations, "-f", *experiment.folds),
        *("-p", experiment.plans.name, *name, "-tr", experiment.trainer, *words, *_work_words(work)),
        *("--workspace", str(experiment.place.root)),
    )


def _work_words(work: Work) -> list[str]:
    """The options of `segforge preprocess` and `segforge run` that stand for this."""
    processes = [] if work.workers is None else ["-np", str(work.workers)]
    memory = [] if work.max_memory is None else ["--max-memory", str(work.max_memory)]
    return [*processes, *memory, *(["--verify"] if work.verify else [])]
