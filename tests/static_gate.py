"""Refuses code that runs what a file says, or writes files in pieces: `static_gate.py FOLDER` prints each place and exits 1.

Nothing that comes from a file may run as code, and everything is written whole (`segforge.compute.files`).
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
FORBIDDEN_CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "os.system": "starts a shell",
    "os.popen": "starts a shell",
    "yaml.load": "may make any object",
    "torch.load": "unpickles; weights are safetensors",
    "torch.save": "pickles; weights are safetensors",
    "torch.export.load": "may unpickle",
}
FORBIDDEN_NAMES = {
    "os.system",
    "os.popen",
    "torch.load",
    "torch.save",
    "numpy.load",
    "yaml.load",
    "builtins.eval",
    "builtins.exec",
}
FORBIDDEN_METHODS = {"extractall": "may write outside its folder"}
WRITERS = {"segforge/compute/files.py"}
NNUNET_CHECKPOINTS = {"segforge/sharing/pth.py": {"torch.load"}, "segforge/sharing/nnunet_checkpoint.py": {"torch.save"}}
"""The one module that reads torch's `.pth`, with `weights_only=True` alone, and the one that writes nnU-Net's."""
LOGS = {"segforge/compute/progress.py"}


def violations(folder: Path) -> Iterator[str]:
    """Each forbidden place below a folder, as `file:line: why`."""
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder.parent).as_posix()
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            for why in _problems(node, name):
                yield f"{name}:{getattr(node, 'lineno', 0)}: {why}"


def _problems(node: ast.AST, name: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        names = []
    for imported in names:
        if imported.split(".")[0] in FORBIDDEN_IMPORTS or imported.startswith("torch.distributed.checkpoint"):
            yield f"import of {imported}: it may run code from a file"
        if imported in FORBIDDEN_NAMES:
            yield f"import of {imported} by name, which hides it from this gate"
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "http://" in node.value:
        yield "an address without encryption"
    if isinstance(node, ast.Call):
        yield from _call_problems(node, name)


def _call_problems(node: ast.Call, name: str) -> Iterator[str]:
    called = ast.unparse(node.func)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if called in NNUNET_CHECKPOINTS.get(name, ()):
        if called == "torch.load" and keywords.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
    elif called in FORBIDDEN_CALLS:
        yield f"{called}: {FORBIDDEN_CALLS[called]}"
    if (method := called.rpartition(".")[2]) in FORBIDDEN_METHODS:
        yield f"{method}: {FORBIDDEN_METHODS[method]}"
    if keywords.get("allow_pickle") == "True" or keywords.get("weights_only") == "False":
        yield "unpickles"
    if called in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False":
        yield "np.load without allow_pickle=False"
    if keywords.get("shell") == "True":
        yield "starts a shell"
    if method == "FileHandler" and name not in LOGS:
        yield "writes a log outside segforge.compute.progress"
    if name not in WRITERS and _opens_for_writing(node, called):
        yield "opens a file for writing outside segforge.compute.files"


def _opens_for_writing(node: ast.Call, called: str) -> bool:
    position = 1 if called == "open" else 0 if called.endswith(".open") else None
    if position is None:
        return called.endswith((".write_text", ".write_bytes")) and not called.startswith("files.")
    if called == "open" and any(not isinstance(argument, ast.Constant) for argument in node.args[1:2]):
        return True  # a mode that cannot be seen here
    modes = [argument.value for argument in node.args[position : position + 1] if isinstance(argument, ast.Constant)]
    modes += [k.value.value for k in node.keywords if k.arg == "mode" and isinstance(k.value, ast.Constant)]
    return any(isinstance(mode, str) and set(mode) & set("wax+") for mode in modes)


if __name__ == "__main__":
    found = list(violations(Path(sys.argv[1])))
    print("\n".join(found) or "static gate: nothing forbidden")
    sys.exit(bool(found))
