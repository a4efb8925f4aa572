import subprocess
import sys

import pytest

from segforge.cli.main import COMMANDS, main
from segforge.errors import CasesFailed, SegForgeError

HEAVY = (
    "torch",
    "scipy",
    "matplotlib",
    "SimpleITK",
    "nibabel",
    "pydantic",
    "numpy",
    "skimage",
    "batchgenerators",
    "acvl_utils",
)


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()) & set(HEAVY)


def test_help_imports_nothing_heavy() -> None:
    for words in (["--help"], ["train", "--help"], ["plan", "--help"]):
        code = f"from segforge.cli.main import main\ntry:\n    main({words})\nexcept SystemExit:\n    pass"
        assert loaded(code) == set()


def test_importing_segforge_imports_nothing_heavy() -> None:
    assert loaded("import segforge") == set()


def test_planning_imports_no_torch(tmp_path) -> None:
    code = (
        "from pathlib import Path\nfrom segforge.dataset.phantom import write_phantom\n"
        f"write_phantom(Path({str(tmp_path)!r}) / 'raw/Dataset900_P', training=3, testing=0)\n"
        f"from segforge.cli.main import main\nassert main(['plan', '-d', '900', '--workspace', {str(tmp_path)!r}]) == 0"
    )
    assert not loaded(code) & {"torch", "matplotlib", "SimpleITK", "batchgenerators", "acvl_utils"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help_text_with_its_default(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    from segforge.cli.main import _parser

    parser = _parser([command])
    (verbs,) = [action for action in parser._actions if hasattr(action, "choices") and isinstance(action.choices, dict)]
    for action in verbs.choices[command]._actions:
        if action.option_strings and action.dest != "help":
            assert action.help, action.option_strings
            assert action.required or "default" in action.help, action.option_strings


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pln"], "Did you mean plan?"),
        (["train", "4", "2d", "0", "--epoch", "3"], "unrecognized arguments: --epoch 3. Did you mean --epochs?"),
        (["train", "4", "2d", "0", "--ep", "3"], "unrecognized arguments: --ep"),
        (["find-bst", "-d", "4"], "Did you mean find-best?"),
        (["train", "4", "2d"], "FOLD"),
        (["train", "4", "2d", "0", "--epochs", "1.5"], "argument --epochs: 1.5 is no whole number."),
        (["train", "4", "2d", "0", "--lr", "low"], "argument --lr: low is no number."),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest_right_one(words: list[str], message: str, capsys) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(words)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SegForgeError("4 is wrong. Give 5."), 2, "segforge: 4 is wrong. Give 5.\n"),
        (CasesFailed("a failed"), 1, "segforge: a failed\n"),
        (KeyboardInterrupt(), 130, "segforge: interrupted. Type the command again to go on.\n"),
        (
            PermissionError(13, "Permission denied", "raw/x"),
            2,
            "segforge: raw/x: Permission denied. Mend that and type the command again",
        ),
        (MemoryError("Unable to allocate 9 GiB"), 2, "segforge: Unable to allocate 9 GiB. Close other programs, or use fewer"),
        (MemoryError(), 2, "segforge: out of memory. Close other programs, or use fewer workers (-np).\n"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_what_ends_a_command_is_one_line_with_what_to_do(
    error: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(options: object) -> int:
        raise error

    monkeypatch.setattr("segforge.cli.models.run", fails)
    assert main(["models"]) == status
    found = capsys.readouterr().err
    assert found.startswith(said)
    assert found.count("\n") == bool(said)


@pytest.mark.parametrize("error", [SegForgeError("4 is wrong."), KeyboardInterrupt(), PermissionError(13, "no"), MemoryError()])
def test_debug_shows_where_an_error_was_met(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(options: object) -> int:
        raise error

    monkeypatch.setattr("segforge.cli.models.run", fails)
    with pytest.raises(type(error)):
        main(["models", "--debug"])


def test_the_description_of_a_command_keeps_names_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "Write a model for others: a package, or nnU-Net's folder." in capsys.readouterr().out
