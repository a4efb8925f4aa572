"""The options of `segforge postprocess`."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from postprocessing_sets import SETS

from segforge.cli.main import _parser


def verbs() -> dict[str, argparse.ArgumentParser]:
    (commands,) = [action for action in _parser(["postprocess"])._actions if isinstance(action.choices, dict)]
    (found,) = [action for action in commands.choices["postprocess"]._actions if isinstance(action.choices, dict)]
    return found.choices


@pytest.mark.parametrize("verb", ["determine", "apply"])
def test_every_option_has_a_help_text_with_its_default(verb: str) -> None:
    for action in verbs()[verb]._actions:
        if action.option_strings and action.dest != "help":
            assert action.help, action.option_strings
            assert action.required or "default" in action.help, action.option_strings


def test_nnunets_names_of_the_options_are_understood() -> None:
    words = ["postprocess", "determine", "-i", "p", "-ref", "r", "-o", "s.json", "-dataset_json", "d", "-plans_json", "x"]
    words.append("--remove_postprocessed")
    options = _parser(words).parse_args(words)
    assert (str(options.references), str(options.description)) == ("r", "d")
    words = ["postprocess", "apply", "-i", "p", "-o", "q", "-pp_pkl_file", "s.json", "-plans_json", "x"]
    assert str(_parser(words).parse_args(words).steps) == "s.json"


def test_evaluation_and_postprocessing_import_no_torch(tmp_path: Path) -> None:
    SETS["an island outside the foreground goes"].write(tmp_path)
    code = (
        "import sys\nfrom segforge.cli.main import main\n"
        "assert main('evaluate ref pred -l 1 2 --surface --lesions -np 0'.split()) == 0\n"
        "assert main('postprocess determine -i pred -r ref -djfile d.json -np 0'.split()) == 0\n"
        "assert main('postprocess apply -i pred -o out --steps pred/postprocessing.json -np 0'.split()) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    labels = '{"background": 0, "a": 1, "b": 2}'
    (tmp_path / "d.json").write_text(
        f'{{"channel_names": {{"0": "CT"}}, "labels": {labels}, "numTraining": 1, "file_ending": ".nii.gz"}}'
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
