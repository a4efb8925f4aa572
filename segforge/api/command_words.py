"""Options of a training as the words that a user would type, for processes of their own."""

from dataclasses import asdict

from segforge.api.training import TrainingOptions
from segforge.errors import SegForgeError
from segforge.training.settings import WITHOUT_OPTION, option_of


def training_words(options: TrainingOptions) -> list[str]:
    """The options of `segforge train` that stand for these.

    Raises:
        SegForgeError: If one can be given in Python alone; names the way to give it to several processes.
    """
    words: list[str] = []
    for name, value in asdict(options).items():
        if value is None:
            continue
        if name in WITHOUT_OPTION:
            raise SegForgeError(f"{name} has no option on the command line. Give it in a trainer of your own, with -tr.")
        words += _words(name, value)
    return words


def _words(name: str, value: object) -> list[str]:
    option = option_of(name)
    if name == "deep_supervision":
        return [] if value else ["--no-deep-supervision"]
    if name == "budget_seconds":
        return [option, f"{value}s"]
    if name == "mirror_axes":
        axes = [str(axis) for axis in value] if isinstance(value, list | tuple) else []
        return [option, *axes] if axes else ["--no-mirroring"]
    return [option, str(value)]
