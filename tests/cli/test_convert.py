"""The options of `segforge convert`."""

import argparse
from pathlib import Path

import pytest

from segforge.cli.main import _parser, main


def kinds() -> dict[str, argparse.ArgumentParser]:
    (verbs,) = [action for action in _parser(["convert"])._actions if isinstance(action.choices, dict)]
    (found,) = [action for action in verbs.choices["convert"]._actions if isinstance(action.choices, dict)]
    return found.choices


@pytest.mark.parametrize("kind", ["images", "dicom", "msd", "nnunet-v1"])
def test_every_option_has_a_help_text_with_its_default(kind: str) -> None:
    for action in kinds()[kind]._actions:
        if action.option_strings and action.dest != "help":
            assert action.help, action.option_strings
            assert action.required or "default" in action.help, action.option_strings


@pytest.mark.parametrize("words", [["convert", "--workspace", "w", "msd", "x"], ["convert", "msd", "x", "--workspace", "w"]])
def test_general_options_stand_before_or_after_the_kind(words: list[str]) -> None:
    options = _parser(words).parse_args(words)
    assert options.workspace == "w"
    assert options.debug is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["convert"], "KIND"),
        (["convert", "image", "x"], "Did you mean images?"),
        (["convert", "images", "x", "-d", "3", "--gray"], "unrecognized arguments: --gray. Did you mean --grey?"),
        (["convert", "images", "x"], "-d/--dataset"),
        (["convert", "images", "x", "-d", "Eyes"], "Eyes is no number for a data set"),
        (["convert", "images", "x", "-d", "3", "--unlabelled", "tests"], "Did you mean test?"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest_right_one(words: list[str], message: str, capsys) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(words)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


def test_the_kinds_and_what_they_are_stand_in_the_help(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    shown = capsys.readouterr().out
    assert "images" in shown
    assert "DICOM series and segmentations" in shown
    assert "a task of the Medical Segmentation Decathlon" in shown
    assert "a task of nnU-Net v1" in shown


def test_describe_wants_one_folder(tmp_path: Path, capsys) -> None:
    assert main(["describe"]) == 2
    assert main(["describe", str(tmp_path), "-d", "4"]) == 2
    assert capsys.readouterr().err.count("Give a folder, or a data set with -d") == 2
