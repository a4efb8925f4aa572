"""Who competes, on which folds, who wins, and what predicts then."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from segforge.compute.executors import Resources, inline
from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.evaluation.overlap import Overlap
from segforge.evaluation.summary import CaseMetrics, Summary, summarize
from segforge.experiment.candidates import competing_models, folds_to_compare
from segforge.experiment.choice import choose, choose_dataset
from segforge.experiment.instructions import inference_information, instructions
from segforge.experiment.selection import Candidate, Contender, Selection, ranked, read_selection, select
from segforge.images.files import write_volume
from segforge.images.image import Geometry
from segforge.inference.postprocessing import KeepLargestComponent, Postprocessing
from segforge.networks.model_folder import FINAL, PLANS

LABELS = LabelScheme.from_description({"background": 0, "a": 1, "b": 2})


def train(results: Path, name: str, *folds: str) -> None:
    for fold in folds:
        path = results / name / f"fold_{fold}"
        path.mkdir(parents=True)
        (path / FINAL).touch()


def names(models) -> list[str]:
    return [model.path.name for model in models]


def summary(*dice: float, other: float = 0.5) -> Summary:
    values = {"IoU": 0.1, "TP": 1, "FP": 1, "FN": 1, "TN": 1, "n_pred": 1, "n_ref": 1}
    cases = [
        CaseMetrics(
            prediction_file="p",
            reference_file=f"case_{number}.nii.gz",
            metrics={"1": Overlap(Dice=value, **values), "2": Overlap(Dice=other, **values)},
        )
        for number, value in enumerate(dice)
    ]
    return summarize(cases, LABELS)


def contender(name: str, *dice: float, **more) -> Contender:
    return Contender(tuple(name.split("+")), summary(*dice, **more), ())


def test_the_best_mean_wins_and_an_exact_tie_stays_in_order() -> None:
    field = [contender("a", 0.9, 0.1), contender("b", 0.5, 0.6), contender("c", 0.6, 0.5), contender("b+c", 0.6, 0.5)]
    assert [one.models for one in ranked(field)] == [("b",), ("c",), ("b", "c"), ("a",)]
    assert ranked(field)[0].candidate.dice == pytest.approx((0.55 + 0.5) / 2)


def test_a_score_that_is_not_a_number_comes_last() -> None:
    field = [contender("a", math.nan), contender("b", 0.0, other=0.0), contender("c", math.nan)]
    assert [one.models[0] for one in ranked(field)] == ["b", "a", "c"]


def test_a_case_counts_by_the_structures_that_it_has() -> None:
    assert contender("a", 0.7, math.nan).dice_of_cases == pytest.approx([0.6, 0.5])
    assert np.isnan(contender("a", math.nan, other=math.nan).dice_of_cases).all()


def test_all_trained_models_compete_in_the_methods_order(tmp_path: Path) -> None:
    for name in ("b__default__2d", "a__default__3d_lowres", "a__default__own", "a__big__3d_fullres", "a__default__2d"):
        train(tmp_path, name, "0")
    (tmp_path / "a__default__3d_cascade_fullres").mkdir()  # not trained
    (tmp_path / "ensembles" / "a__default__2d___b__default__2d").mkdir(parents=True)
    assert names(competing_models(tmp_path)) == [
        "a__default__2d",
        "b__default__2d",
        "a__big__3d_fullres",
        "a__default__3d_lowres",
        "a__default__own",
    ]
    assert names(competing_models(tmp_path, configurations=["3d_fullres", "2d"], names=["a"])) == [
        "a__default__2d",
        "a__big__3d_fullres",
    ]
    assert names(competing_models(tmp_path, plans=["big"])) == ["a__big__3d_fullres"]


def test_a_word_that_fits_nothing_is_refused_with_what_is_trained(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match=r"has no trained model\. Train one with: segforge train"):
        competing_models(tmp_path)
    train(tmp_path, "a__default__2d", "0")
    train(tmp_path, "b__big__3d_fullres", "0")
    with pytest.raises(SegForgeError, match=r"the configuration 3d_lowres\. Trained: a__default__2d, b__big__3d_fullres"):
        competing_models(tmp_path, configurations=["2d", "3d_lowres"])
    with pytest.raises(SegForgeError, match=r"the configuration 3d_fulres\. Did you mean 3d_fullres\? Trained: "):
        competing_models(tmp_path, configurations=["3d_fulres"])
    with pytest.raises(SegForgeError, match="together"):
        competing_models(tmp_path, configurations=["2d"], plans=["big"])


def test_folds_that_all_have_are_compared_and_the_rest_is_said(tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    results = tmp_path / "Dataset004_X"
    train(results, "default__default__2d", "0", "1", "all")
    train(results, "own__big__3d_fullres", "0", "1", "2", "all")
    models = competing_models(results)
    assert folds_to_compare(models, None, 3) == ["0", "1"]
    assert "on folds 0, 1." in caplog.text
    assert "For the rest: segforge train Dataset004_X 2d FOLD, FOLD 2." in caplog.text
    assert "3d_fullres FOLD" not in caplog.text
    assert folds_to_compare(models, ["1"]) == ["1"]
    assert "segforge train Dataset004_X 3d_fullres FOLD -p big --name own, FOLD 3, 4." in caplog.text
    with pytest.raises(SegForgeError, match=r"default__default__2d has no .* of fold 2\."):
        folds_to_compare(models, ["1", "2"])


def test_models_without_a_common_fold_are_named(tmp_path: Path) -> None:
    train(tmp_path, "a__default__2d", "0")
    train(tmp_path, "a__default__3d_fullres", "1")
    with pytest.raises(SegForgeError, match=r"a__default__2d has 0; a__default__3d_fullres has 1"):
        folds_to_compare(competing_models(tmp_path), None)


def test_fold_all_is_compared_only_if_it_is_alone(tmp_path: Path, caplog) -> None:
    train(tmp_path, "a__default__2d", "all")
    assert folds_to_compare(competing_models(tmp_path), None) == ["all"]
    assert "say nothing about new ones" in caplog.text


def selection(*models: str, **more) -> Selection:
    candidates = [Candidate(models=(*models,), dice=0.5, dice_per_structure={"a": 0.5})]
    return Selection(dataset="Dataset004_X", folds=("0", "1"), models=models, ranking=tuple(candidates), **more)


def test_the_choice_follows_the_words_then_the_selection_then_the_only_one(tmp_path: Path) -> None:
    results = tmp_path / "Dataset004_X"
    train(results, "a__default__2d", "0")
    assert choose(results).models[0].path.name == "a__default__2d"
    train(results, "a__default__3d_fullres", "0")
    train(results, "b__default__3d_fullres", "0")
    with pytest.raises(SegForgeError, match="Several trained models fit"):
        choose(results, configuration="3d_fullres")
    assert choose(results, configuration="3d_fullres", name="b").models[0].path.name == "b__default__3d_fullres"
    for name in ("a__default__2d", "b__default__3d_fullres"):
        (results / name / PLANS).touch()
    steps = Postprocessing(steps=(KeepLargestComponent(structure="a", values=(1,)),))
    selection("a__default__2d", "b__default__3d_fullres", postprocessing=steps).write(results / "selection.json")
    chosen = choose(results)
    assert names(chosen.models) == ["a__default__2d", "b__default__3d_fullres"]
    assert (chosen.folds, chosen.postprocessing) == (("0", "1"), steps)
    assert names(choose(results, configuration="2d").models) == ["a__default__2d"]
    with pytest.raises(SegForgeError, match=r"no trained model with configuration 3d_lowres\. Trained: a__default__2d"):
        choose(results, configuration="3d_lowres")


def test_a_selection_that_cannot_be_followed_says_how_to_make_it_again(tmp_path: Path, caplog) -> None:
    results = tmp_path / "Dataset004_X"
    train(results, "a__default__2d", "0")
    selection("a__default__2d").write(results / "selection.json")
    with pytest.raises(
        SegForgeError, match=r"a__default__2d, which is no model any more\. Run segforge find-best -d Dataset004_X"
    ):
        choose(results)
    (results / "selection.json").write_text('{"model": "a__default__2d"}')
    with pytest.raises(SegForgeError, match="find-best -d Dataset004_X again"):
        choose(results)
    assert read_selection(results) is None
    assert "made again" in caplog.text


def test_the_only_trained_data_set_is_chosen_and_several_are_listed(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="has no trained model"):
        choose_dataset(tmp_path)
    train(tmp_path / "Dataset004_X", "a__default__2d", "0")
    (tmp_path / "Dataset005_Y").mkdir()
    assert choose_dataset(tmp_path) == "Dataset004_X"
    train(tmp_path / "Dataset005_Y", "a__default__2d", "0")
    with pytest.raises(SegForgeError, match="Dataset004_X, Dataset005_Y"):
        choose_dataset(tmp_path)


@pytest.fixture
def islands(tmp_path: Path) -> list[tuple[Path, Path]]:
    """A case that is better without an island: `a` overlaps in 32 of 32 and 40 voxels."""
    grid = Geometry((4, 8, 8), (1.0, 1.0, 1.0))
    truth = np.zeros(grid.shape, np.uint8)
    truth[:2, :4, :4] = 1
    predicted = truth.copy()
    predicted[3, :2, 4:] = 1
    pairs = [(tmp_path / "ref" / "x.nii.gz", tmp_path / "pred" / "x.nii.gz")]
    for path, array in zip(pairs[0], (truth, predicted), strict=True):
        write_volume(path, array, grid)
    return pairs


def test_the_winners_postprocessing_is_determined_once(islands: list[tuple[Path, Path]], monkeypatch) -> None:
    scheme = LabelScheme.from_description({"background": 0, "a": 1})
    field = [Contender(("m",), summary(0.8), islands), Contender(("n",), summary(0.7), islands)]
    made = select("Dataset004_X", ["0"], field, scheme, inline, Resources())
    assert [step.structure for step in made.postprocessing.steps] == ["foreground"]
    assert made.postprocessing.trials[0].before == pytest.approx(2 * 32 / 72)
    assert made.postprocessed_dice == 1
    assert made.comparison is not None and math.isnan(made.comparison.p)
    with monkeypatch.context() as patch:
        patch.setattr("segforge.experiment.selection.determine_steps", None)
        again = select("Dataset004_X", ["0"], field, scheme, inline, Resources(), made)
    assert again.to_json() == made.to_json()
    write_volume(islands[0][1], np.zeros((4, 8, 8), np.uint8), Geometry((4, 8, 8), (1.0, 1.0, 1.0)))
    other = select("Dataset004_X", ["0"], field, scheme, inline, Resources(), made)
    assert other.postprocessing.steps == ()


def test_instructions_are_commands_for_the_winner() -> None:
    steps = Postprocessing(steps=(KeepLargestComponent(structure="a", values=(1,)),))
    text = instructions(selection("x__default__2d", "x__big__3d_fullres", postprocessing=steps, postprocessed_dice=0.6))
    assert [line.strip() for line in text.splitlines() if line.startswith("    ")] == [
        "segforge predict -d Dataset004_X -i INPUT -o OUTPUT",
        "segforge predict -i INPUT -o MODEL_1 -d Dataset004_X -c 2d -p default --name x -f 0 1 --save-probabilities",
        "segforge predict -i INPUT -o MODEL_2 -d Dataset004_X -c 3d_fullres -p big --name x -f 0 1 --save-probabilities",
        "segforge ensemble -i MODEL_1 MODEL_2 -o AVERAGE -d Dataset004_X",
        "segforge postprocess apply -i AVERAGE -o OUTPUT --steps results/Dataset004_X/postprocessing.json",
    ]
    alone = instructions(selection("x__default__2d"))
    assert "segforge predict -i INPUT -o OUTPUT -d Dataset004_X -c 2d -p default --name x -f 0 1\n" in alone
    assert "ensemble" not in alone and "postprocess apply" not in alone
    processed = instructions(selection("x__default__2d", postprocessing=steps, postprocessed_dice=0.6))
    assert "AVERAGE" not in processed  # of one model there is none
    assert "segforge predict -i INPUT -o PREDICTED -d Dataset004_X" in processed
    assert "segforge postprocess apply -i PREDICTED -o OUTPUT" in processed


def test_nnunets_users_find_the_winner_under_the_keys_that_they_know() -> None:
    ranking = (
        Candidate(models=("x__default__2d", "x__big__3d_fullres"), dice=0.8, dice_per_structure={}),
        Candidate(models=("x__big__3d_fullres",), dice=0.7, dice_per_structure={}),
        Candidate(models=("x__default__2d",), dice=math.nan, dice_per_structure={}),
    )
    chosen = selection("x__default__2d", "x__big__3d_fullres", postprocessed_dice=0.9).model_copy(update={"ranking": ranking})
    content = json.loads(inference_information(chosen, Path("results"), ensembles=True))
    assert content["folds"] == [0, 1]
    assert content["all_results"] == {
        "ensemble___x__default__2d___x__big__3d_fullres___0_1": 0.8,
        "x__big__3d_fullres": 0.7,
        "x__default__2d": None,
    }
    best = content["best_model_or_ensemble"]
    assert (best["result_on_crossval_pre_pp"], best["result_on_crossval_post_pp"]) == (0.8, 0.9)
    assert best["selected_model_or_models"] == [
        {"plans_identifier": "default", "configuration": "2d", "trainer": "x"},
        {"plans_identifier": "big", "configuration": "3d_fullres", "trainer": "x"},
    ]
