"""How the pages are made: Sphinx reads the Markdown of this folder, the parsers of the command line, and the docstrings."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

from segforge import __version__

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "SegForge"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["extensions"]

myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"SegForge {release}"
html_show_copyright = False
html_copy_source = False

INCLUDED = {
    "](../../benchmarks/README.md": "](../project/measurements.md",
    "](../../CHANGELOG.md": "](../project/changes.md",
    "](../../SECURITY.md": "](../project/security.md",
    "](../../CONTRIBUTING.md": "](../project/contributing.md",
}
"""Links that are right in the project's folder, and where the same text is among the pages."""


def complete(app: Sphinx, page: str, source: list[str]) -> None:
    """Add what the program says of itself to the two pages that are made of it, and let links lead to pages."""
    from command_reference import command_reference
    from python_reference import python_reference

    makers = {"reference/commands": command_reference, "reference/python": python_reference}
    if page in makers:
        source[0] += "\n" + makers[page]()
    for in_project, in_pages in INCLUDED.items():
        source[0] = source[0].replace(in_project, in_pages)


def setup(app: Sphinx) -> None:
    """Have `complete` called for each page before it is parsed."""
    app.connect("source-read", complete)
