"""The command `segforge`: finds the verb, runs it, and turns errors into one line and an exit status."""

import importlib
import keyword
import logging
import signal
import sys
import threading
from collections.abc import Sequence

from segforge import __version__
from segforge.cli.nnunet_words import in_our_words
from segforge.cli.parser import CommandParser, HelpFormatter, add_common
from segforge.errors import SegForgeError

COMMANDS = {
    "convert": "make a data set of images in other folders and formats",
    "describe": "write the dataset.json of images and label maps that are in place",
    "verify": "find everything that is wrong in a data set",
    "split": "divide a data set into folds, by patients or sites if asked (plan does it by itself)",
    "fingerprint": "measure a data set (plan does it by itself)",
    "plan": "take the fingerprint, plan the experiment, preprocess",
    "preprocess": "preprocess the cases for plans that are there (plan does it by itself)",
    "plot": "draw cases with their labels: raw, preprocessed, predicted",
    "estimate": "measure how long a training would take, in what memory, and what bounds it",
    "run": "plan, preprocess, train every fold, select the best: all in one, on one machine or many",
    "status": "show how far an experiment is, and what comes next",
    "train": "train one fold of one configuration, and validate it",
    "stop": "let a running training end soon, with a valid model",
    "find-best": "rank what is trained, and averages of two, and select the best",
    "predict": "predict a folder of images with the best",
    "ensemble": "average predictions of several models",
    "evaluate": "compare predictions with labels",
    "postprocess": "find the postprocessing that helps, and apply it",
    "models": "list the trained models",
    "show": "show what a model is: its card",
    "export": "write a model for others: a package, or nnU-Net's folder",
    "import": "bring in a package, a model of nnU-Net's, or the weights of a MONAI bundle",
    "clean": "show and remove what can be made again",
    "demo": "see it all on made-up data, in three minutes",
}
"""The verbs in the order in which they are used."""

_EPILOG = """\
the usual order, for the data set in raw/Dataset004_Name:
  segforge plan -d 4
  segforge train 4 3d_fullres 0
  segforge find-best -d 4
  segforge predict -i imagesTs -o out

segforge COMMAND --help explains a command. nnU-Net's command lines work with segforge before them:
  segforge nnUNetv2_train 4 3d_fullres 0 --npz
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 some cases failed, 2 wrong usage or input, 130 interrupted."""
    try:
        arguments = in_our_words(sys.argv[1:] if arguments is None else arguments)
    except SegForgeError as error:
        return _ended(error)
    options = _parser(arguments).parse_args(arguments)
    _show_messages(debug=options.debug)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system that ends a job: as Ctrl-C
    try:
        return int(options.run(options) or 0)
    except BrokenPipeError:
        return 1
    except (SegForgeError, KeyboardInterrupt, MemoryError, OSError) as error:
        if options.debug:
            raise
        return _ended(error)


def _parser(arguments: Sequence[str]) -> CommandParser:
    """The parser; only the verb that was typed is imported and given its options."""
    parser = CommandParser(
        prog="segforge",
        description="Self-configuring biomedical image segmentation.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"segforge {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=CommandParser)
    typed = next((word for word in arguments if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        verb = verbs.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", formatter_class=HelpFormatter
        )
        if name == typed:
            module = importlib.import_module(f"segforge.cli.{_module(name)}")
            module.add_arguments(verb)
            add_common(verb)
            verb.set_defaults(run=module.run)
    return parser


def _ended(error: SegForgeError | KeyboardInterrupt | MemoryError | OSError) -> int:
    """Say in one line what ended the command, and return its exit status."""
    status = 2
    if isinstance(error, SegForgeError):
        said, status = str(error), error.exit_status
    elif isinstance(error, KeyboardInterrupt):
        said, status = "interrupted. Type the command again to go on.", 130
    elif isinstance(error, MemoryError):
        said = f"{str(error) or 'out of memory'}. Close other programs, or use fewer workers (-np)."
    else:
        reason = f"{error.filename or 'a file'}: {error.strerror or error}"
        said = f"{reason}. Mend that and type the command again; --debug shows where it was met."
    print(f"segforge: {said}", file=sys.stderr)
    return status


def _module(command: str) -> str:
    """Name of a command's module; a word that Python keeps for itself gets an underscore."""
    name = command.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def _show_messages(*, debug: bool) -> None:
    from segforge.compute.progress import TerminalHandler

    logger = logging.getLogger("segforge")
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    if not any(isinstance(handler, TerminalHandler) for handler in logger.handlers):
        logger.addHandler(TerminalHandler())
    logger.propagate = False
