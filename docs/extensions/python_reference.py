"""Everything that `import segforge` offers, as directives that print its docstrings."""

import inspect

import segforge


def python_reference() -> str:
    """A directive for each public name, functions first."""
    names = sorted(segforge.__all__, key=lambda name: (inspect.isclass(getattr(segforge, name)), name.lower()))
    directives = "\n\n".join(_directive(name) for name in names)
    return f"```{{eval-rst}}\n{directives}\n```\n"


def _directive(name: str) -> str:
    kind = "autoclass" if inspect.isclass(getattr(segforge, name)) else "autofunction"
    members = "\n   :members:" if kind == "autoclass" else ""
    return f".. {kind}:: segforge.{name}{members}"
