"""The options of `segforge find-best` and `segforge ensemble`, and what find-best prints."""

import math

import pytest

from segforge.cli.find_best import _report
from segforge.cli.main import _parser, main
from segforge.evaluation.paired_test import PairedTest
from segforge.experiment.selection import Candidate, Selection
from segforge.inference.postprocessing import KeepLargestComponent, Postprocessing, Trial


def parsed(words: str):
    return _parser(words.split()).parse_args(words.split())


@pytest.mark.parametrize("verb", ["find-best", "ensemble"])
def test_every_option_has_a_help_text_with_its_default(verb: str) -> None:
    (commands,) = [action for action in _parser([verb])._actions if isinstance(action.choices, dict)]
    for action in commands.choices[verb]._actions:
        if action.option_strings and action.dest != "help":
            assert action.help, action.option_strings
            assert action.required or "default" in action.help, action.option_strings


def test_nnunets_words_are_understood(monkeypatch) -> None:
    asked = {}
    monkeypatch.setattr("segforge.api.selection.find_best", lambda dataset, **more: asked.update(more, dataset=dataset))
    monkeypatch.setattr("segforge.cli.find_best._report", lambda selection, dataset: "")
    words = "find-best 4 -p nnUNetPlans nnUNetResEncUNetLPlans -c 2d 3d_fullres -tr nnUNetTrainer nnUNetTrainerDA5 -np 3"
    assert main([*words.split(), "--disable_ensembling", "--no_overwrite", "-f", "0", "1"]) == 0
    assert asked["dataset"] == "4"
    assert asked["plans"] == ["default", "resenc-l"]
    assert asked["names"] == ["default", "nnUNetTrainerDA5"]
    assert asked["configurations"] == ["2d", "3d_fullres"]
    assert (asked["folds"], asked["workers"], asked["ensembles"]) == (["0", "1"], 3, False)
    options = parsed("ensemble -i A B -o C -np 2 --save_npz")
    assert options.save_probabilities and [str(path) for path in options.predictions] == ["A", "B"]


@pytest.mark.parametrize("words", ["find-best", "find-best 4 -d 4"])
def test_one_data_set_must_be_named(words: str, capsys) -> None:
    assert main(words.split()) == 2
    assert "Name one data set" in capsys.readouterr().err


def selection(**more) -> Selection:
    ranking = (
        Candidate(models=("x__p__2d", "x__p__3d"), dice=0.8, interval=(0.7, 0.9), dice_per_structure={"a": 0.75, "b": 0.85}),
        Candidate(models=("x__p__2d",), dice=math.nan, dice_per_structure={"a": math.nan, "b": 0.5}),
    )
    return Selection(dataset="Dataset004_X", folds=("0",), models=ranking[0].models, ranking=ranking, **more)


def test_the_report_shows_ranking_test_and_postprocessing() -> None:
    trials = (Trial(structure="foreground", before=0.8, after=0.81, helped=True),)
    steps = Postprocessing(steps=(KeepLargestComponent(structure="foreground", values=(1, 2)),), trials=trials)
    test = PairedTest(cases=20, differing=19, p=0.012)
    text = _report(selection(postprocessing=steps, postprocessed_dice=0.81, comparison=test), "4")
    lines = text.splitlines()
    assert lines[2].split() == ["Dice", "95", "%", "interval", "a", "b"]
    assert lines[3].split() == ["1.", "x__p__2d", "+", "x__p__3d", "0.8000", "0.7000", "-", "0.9000", "0.7500", "0.8500"]
    assert lines[4].split() == ["2.", "x__p__2d", "-", "-", "-", "0.5000"]
    assert "p = 0.012; such a difference would rarely come about by chance." in text
    assert "Selected x__p__2d + x__p__3d, with 1 step of postprocessing: Dice 0.8000 -> 0.8100." in text
    assert "Predict with: segforge predict -i IMAGES -o OUTPUT -d 4" in text


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        (PairedTest(cases=20, differing=19, p=0.3), "20 cases: p = 0.3; the difference between the first and the second may"),
        (PairedTest(cases=20, differing=5, p=math.nan), "differ in 5 of 20 cases: too few to tell"),
    ],
)
def test_a_test_that_shows_nothing_says_so(test: PairedTest, sentence: str) -> None:
    text = _report(selection(comparison=test), "4")
    assert sentence in text
    assert "without postprocessing" in text


@pytest.mark.parametrize(("dice", "is_said"), [(0.004, True), (0.01, False), (math.nan, False)])
def test_a_best_that_finds_nothing_is_doubted(dice: float, is_said: bool) -> None:
    best = Candidate(models=("x__p__2d",), dice=dice, dice_per_structure={"a": dice})
    text = _report(Selection(dataset="Dataset004_X", folds=("0",), models=best.models, ranking=(best,)), "4")
    assert ("Hardly anything is found. Most often the training is too short" in text) is is_said
