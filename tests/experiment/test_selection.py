import math
from pathlib import Path

import pytest

from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.evaluation.overlap import Overlap
from segforge.evaluation.summary import CaseMetrics, Summary, summarize
from segforge.experiment.choice import choose_dataset, choose_model
from segforge.experiment.selection import Selection, select_best
from segforge.networks.model_folder import FINAL, ModelFolder

LABELS = LabelScheme.from_description({"background": 0, "a": 1, "b": 2})


def train(results: Path, name: str, *folds: str) -> None:
    for fold in folds:
        path = results / name / f"fold_{fold}"
        path.mkdir(parents=True)
        (path / FINAL).touch()


def summary(dice: float, other: float = 0.5) -> Summary:
    values = {"IoU": 0.1, "TP": 1, "FP": 1, "FN": 1, "TN": 1, "n_pred": 1, "n_ref": 1}
    metrics = {"1": Overlap(Dice=dice, **values), "2": Overlap(Dice=other, **values)}
    return summarize([CaseMetrics(prediction_file="p", reference_file="r", metrics=metrics)], LABELS)


def test_the_best_mean_over_all_cases_of_the_common_folds_wins(tmp_path: Path) -> None:
    train(tmp_path, "default__default__2d", "0", "1")
    train(tmp_path, "default__default__3d_fullres", "0", "1", "2")
    dice = {"2d": {"0": 0.9, "1": 0.1}, "3d_fullres": {"0": 0.5, "1": 0.6, "2": 0.0}}

    def validate(model: ModelFolder, fold: str) -> Summary:
        return summary(dice[model.path.name.split("__")[2]][fold])

    selection = select_best(tmp_path, LABELS, validate)
    assert selection.folds == ("0", "1")
    assert selection.model == "default__default__3d_fullres"
    assert [candidate.dice for candidate in selection.ranking] == pytest.approx([(0.55 + 0.5) / 2, (0.5 + 0.5) / 2])
    assert Selection.read(tmp_path / "selection.json") == selection


def test_an_exact_tie_goes_to_the_methods_order(tmp_path: Path) -> None:
    train(tmp_path, "a__default__3d_fullres", "0")
    train(tmp_path, "b__default__2d", "0")
    assert select_best(tmp_path, LABELS, lambda model, fold: summary(0.5)).model == "b__default__2d"


def test_a_score_that_is_not_a_number_comes_last(tmp_path: Path) -> None:
    train(tmp_path, "a__default__2d", "0")
    train(tmp_path, "a__default__3d_fullres", "0")

    def validate(model: ModelFolder, fold: str) -> Summary:
        return summary(math.nan if model.path.name.endswith("2d") else 0.0)

    assert select_best(tmp_path, LABELS, validate).model == "a__default__3d_fullres"


def test_models_without_a_common_fold_are_named(tmp_path: Path) -> None:
    train(tmp_path, "a__default__2d", "0")
    train(tmp_path, "a__default__3d_fullres", "1")
    with pytest.raises(SegForgeError, match=r"a__default__2d has 0; a__default__3d_fullres has 1"):
        select_best(tmp_path, LABELS, lambda model, fold: summary(0.5))


def test_fold_all_is_compared_only_if_it_is_alone(tmp_path: Path, caplog) -> None:
    train(tmp_path, "a__default__2d", "all")
    assert select_best(tmp_path, LABELS, lambda model, fold: summary(0.5)).folds == ("all",)
    assert "say nothing about new ones" in caplog.text


def test_the_choice_follows_the_words_then_the_selection_then_the_only_one(tmp_path: Path) -> None:
    results = tmp_path / "Dataset004_X"
    train(results, "a__default__2d", "0")
    assert choose_model(results).path.name == "a__default__2d"
    train(results, "a__default__3d_fullres", "0")
    train(results, "b__default__3d_fullres", "0")
    with pytest.raises(SegForgeError, match="Several trained models fit"):
        choose_model(results, configuration="3d_fullres")
    assert choose_model(results, configuration="3d_fullres", name="b").path.name == "b__default__3d_fullres"
    select_best(results, LABELS, lambda model, fold: summary(0.9 if model.path.name.startswith("b") else 0.1))
    assert choose_model(results).path.name == "b__default__3d_fullres"
    assert choose_model(results, configuration="2d").path.name == "a__default__2d"
    with pytest.raises(SegForgeError, match=r"no trained model with configuration 3d_lowres\. Trained: a__default__2d"):
        choose_model(results, configuration="3d_lowres")


def test_the_only_trained_data_set_is_chosen_and_several_are_listed(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="has no trained model"):
        choose_dataset(tmp_path)
    train(tmp_path / "Dataset004_X", "a__default__2d", "0")
    (tmp_path / "Dataset005_Y").mkdir()
    assert choose_dataset(tmp_path) == "Dataset004_X"
    train(tmp_path / "Dataset005_Y", "a__default__2d", "0")
    with pytest.raises(SegForgeError, match="Dataset004_X, Dataset005_Y"):
        choose_dataset(tmp_path)
