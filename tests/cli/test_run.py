"""The options of `segforge run`, and what `run` and `status` print."""

from dataclasses import fields
from pathlib import Path

import pytest

from segforge.api.command_words import training_words
from segforge.api.planning import Work
from segforge.api.run import PieceReport, RunReport
from segforge.api.training import TrainingOptions
from segforge.api.workers import Workers
from segforge.cli.main import _parser, main
from segforge.cli.run import _shown
from segforge.cli.status import _shown as _status_shown
from segforge.cli.training_options import training_options
from segforge.compute.executor_choice import ExecutorChoice
from segforge.compute.executors import Resources, processes
from segforge.errors import SegForgeError
from segforge.experiment.commands import Place
from segforge.experiment.status import DataStatus, FoldStatus, Status


def parsed(words: list[str]):
    return _parser(words).parse_args(words)


TYPED = [
    "",
    "--epochs 3 --iterations 2 --validation-iterations 1 --batch-size 4 --seed 7 --validate-every 2 --best-by full-volume",
    "--budget 1h30m --optimizer adamw --lr 0.003 --schedule cosine --warmup 2 --loss dice_topk --label-smoothing 0.1",
    "--precision bf16 --norm batch --no-deep-supervision --augmentation none --no-mirroring --foreground-share 0.5",
    "--mirror-axes 0 2",
]


@pytest.mark.parametrize("words", TYPED)
def test_options_of_trainings_reach_them_as_they_were_typed(words: str) -> None:
    options = training_options(parsed(["run", "-d", "4", *words.split()]))
    again = training_options(parsed(["train", "4", "2d", "0", *training_words(options)]))
    assert again == training_options(parsed(["train", "4", "2d", "0", *words.split()])) == options


def test_every_option_of_a_training_has_words_or_is_refused() -> None:
    typed = training_options(parsed(["run", "-d", "4", *" ".join(TYPED).split()[:-3]]))
    for field in fields(TrainingOptions):
        if getattr(typed, field.name) is None and field.name != "mirror_axes":
            with pytest.raises(SegForgeError, match=f"{field.name} has no option on the command line"):
                training_words(TrainingOptions(**{field.name: True}))


def test_what_is_typed_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr("segforge.api.run.run", lambda dataset, **more: asked.update(more) or RunReport("D", (), None))
    words = "run -d 4 -c 2d 3d_fullres -f 0 1 all -p small --name b -np 2 --features 8 --at-once 3 --threads 2 --device cpu"
    assert main(words.split()) == 0
    assert (asked["configurations"], asked["folds"], asked["plans"]) == (["2d", "3d_fullres"], ["0", "1", "all"], "small")
    assert (asked["name"], asked["work"].workers, asked["settings"].features) == ("b", 2, 8)
    assert asked["workers"] == Workers(at_once=3, threads=2, device="cpu")


@pytest.mark.parametrize("option", ["--at-once", "--threads"])
def test_fewer_than_one_worker_is_refused(option: str, capsys) -> None:
    assert main(["run", "-d", "4", option, "0"]) == 2
    assert f"{option} 0 is too few" in capsys.readouterr().err


def test_places_are_gpus_one_each_and_cores_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    def places(**asked) -> list[str]:
        return [place.device for place in Workers(**asked).opened().places]

    monkeypatch.setattr("segforge.api.workers.available_devices", lambda: ["cuda:0", "cuda:1", "cpu"])
    monkeypatch.setattr("segforge.api.workers.available_cores", lambda: 8)
    assert places() == places(device="cuda") == ["cuda:0", "cuda:1"]
    assert places(at_once=3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert (places(device="cuda:1"), places(device="cpu", at_once=2)) == (["cuda:1"], ["cpu", "cpu"])
    assert (Workers().opened().threads, Workers(threads=3).opened().threads) == (4, 3)
    monkeypatch.setattr("segforge.api.workers.available_devices", lambda: ["cpu"])
    assert places() == ["auto"] and Workers().opened().threads == 8


def test_trainings_that_share_gpus_see_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("segforge.api.workers.available_devices", lambda: ["cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4"])
    two = Workers(gpus=2)
    assert two.opened().places == [Place("cuda", "0,1"), Place("cuda", "2,3")] and two.words == ["--gpus", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7, 3,GPU-a,GPU-b,1")
    assert [place.gpus for place in two.opened().places] == ["7,3", "GPU-a,GPU-b"]
    with pytest.raises(SegForgeError, match="--gpus 6 is more than the 5 that are here"):
        Workers(gpus=6).opened()
    assert Workers(gpus=2, device="cpu").opened().places == [Place("cpu")] and Workers().words == []
    assert Workers(gpus=2, where=ExecutorChoice("segforge.compute.executors:processes")).opened().resources.gpus == 2


def test_an_executor_of_ones_own_is_asked_for_what_it_takes() -> None:
    where = ExecutorChoice("segforge.compute.executors:processes")
    opened = Workers(at_once=3, device="cuda", where=where).opened()
    assert (opened.factory, opened.places) == (processes, [Place("cuda")] * 3)
    assert opened.resources == Resources(3, gpus=1, cores=opened.threads, is_elsewhere=True)
    alone = Workers(device="cpu", threads=4, where=where).opened().resources
    assert alone == Resources(1, cores=4, is_elsewhere=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--executor dask", "--executor dask and --scheduler ADDRESS go together"),
        ("--scheduler tcp://x:1", "--executor dask and --scheduler ADDRESS go together"),
        ("--executor parsl", "parsl is not among the executors here"),
        ("--executor nowhere:factory", "nowhere:factory, one of the executors, cannot be loaded"),
        ("--json", "--json goes with --pilot"),
    ],
)
def test_executors_that_are_not_there_are_refused(words: str, message: str, capsys, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    assert main(["run", "-d", "4", "--workspace", str(tmp_path), *words.split()]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--pilot", "--emit takes no --pilot"),
        ("--executor dask --scheduler tcp://x:1", "--emit takes no --executor. One of the scripts, cluster.sh"),
        ("--at-once 2", "--emit takes no --at-once. Say workers under [cluster]"),
        ("--threads 2", "--emit takes no --threads. Say cores under [train]"),
        ("--gpus 2", "--emit takes no --gpus. Say gpus under [train]"),
        ("--features 8", "Make the plans first: segforge plan --no-preprocess"),
        ("--json", "--json goes with --pilot"),
    ],
)
def test_what_job_scripts_cannot_pass_on_is_refused(words: str, message: str, capsys, tmp_path: Path) -> None:
    assert main(["run", "-d", "4", "--emit", "slurm", str(tmp_path / "jobs"), *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "jobs").exists()


def test_what_job_scripts_pass_on_reaches_them(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    asked = {}
    scripts = [Path("jobs", f"{name}.sh") for name in ("prepare", "find-best", "submit", "workers", "cluster")]
    monkeypatch.setattr("segforge.api.emission.emit", lambda *words, **more: asked.update(more, words=words) or scripts)
    words = "run -d 4 -c 2d -f 1 -p small --name b --epochs 3 -np 2 --max-memory 8 --verify --device cpu --resources r.toml"
    assert main([*words.split(), "--emit", "pbs", "jobs"]) == 0
    assert (asked["words"], asked["resources"], asked["device"]) == (("4", "pbs", Path("jobs")), Path("r.toml"), "cpu")
    assert (asked["configurations"], asked["folds"], asked["plans"], asked["name"]) == (["2d"], ["1"], "small", "b")
    assert (asked["work"], asked["options"].epochs) == (Work(workers=2, max_memory=8, verify=True), 3)
    shown = capsys.readouterr().out
    assert "Wrote prepare.sh, find-best.sh, workers.sh" in shown
    assert "bash jobs/submit.sh" in shown and "bash jobs/cluster.sh" in shown


def test_the_table_names_what_failed_with_the_reason_and_the_file() -> None:
    pieces = (
        PieceReport("2d fold 0", None, 0.9, None, Path("logs/0.log")),
        PieceReport("2d fold 1", "the GPU is full", None, 90.0, Path("logs/1.log")),
        PieceReport("2d fold 2", "its worker failed", None, 0.0, Path("logs/2.log")),
        PieceReport("find-best", "needs 2d fold 1", None, None, Path("logs/best.log")),
    )
    assert _shown(RunReport("D", pieces, None)).splitlines() == [
        "piece      state     Dice    time",
        "2d fold 0  done      0.9000  before",
        "2d fold 1  failed    -       90 s",
        "2d fold 2  failed    -       0 s",
        "find-best  left out  -       -",
        "2d fold 1: the GPU is full. See logs/1.log",
        "2d fold 2: its worker failed. See logs/2.log",
        "find-best: needs 2d fold 1",
        "What is done is kept: type the command again for the rest.",
    ]


def test_a_status_shows_who_works_and_what_is_next() -> None:
    worker = "x/default_2d is being preprocessed by process 7 on box since 2026-11-22 10:00:00"
    data = DataStatus(plans="default", configuration="2d", done=4, worker=worker)
    fold = FoldStatus(model="a__default__2d", fold="0", state="begun", epoch=3, epochs=20)
    found = Status(dataset="D", cases=9, plans=("default",), data=(data,), folds=(fold,), next="segforge preprocess -d D")
    lines = _status_shown(found).splitlines()
    assert lines[3] == "default  2d             4 of 9        being preprocessed by process 7 on box since 2026-11-22 10:00:00"
    assert lines[6] == "a__default__2d  0     begun  3 of 20  -"
    assert lines[-1] == "Next: segforge preprocess -d D"
