"""Networks of `monai.networks.nets`, from a table, as networks of SegForge's. Needs the extra `monai`."""

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from segforge.errors import SegForgeError, did_you_mean
from segforge.planning.architecture import MONAI, ArchitectureSpec, Axes

NAMES = (
    "AttentionUnet",
    "BasicUNet",
    "BasicUNetPlusPlus",
    "DynUNet",
    "FlexibleUNet",
    "HighResNet",
    "MedNeXt",
    "SegResNet",
    "SegResNetDS",
    "SwinUNETR",
    "UNETR",
    "UNet",
    "VNet",
)
"""The networks that may be named: they turn `(B, C, ...)` into logits `(B, heads, ...)` of the same size."""

HAVE_DEEP_SUPERVISION = ("DynUNet", "MedNeXt", "SegResNetDS")
"""Those that can have heads at lower resolutions."""

CHANNELS = {"spatial_dims": "dimensions", "in_channels": "input_channels", "out_channels": "output_channels"}
"""Their arguments that are fields of an ArchitectureSpec."""

DECIDED = (*CHANNELS, "deep_supervision")
"""Arguments that are no choice: they follow from the data set and the plan."""

DOWNLOADING = ("pretrained", "progress")
"""Arguments that would fetch weights from elsewhere."""

_PATCH_SIZE = "img_size"


class MonaiNetwork(nn.Module):
    """A network of MONAI's that is made from an ArchitectureSpec, as SegForge's own are."""

    def __init__(self, spec: ArchitectureSpec) -> None:
        """Make it.

        Raises:
            SegForgeError: If MONAI is not installed, or the arguments are not those of the network.
        """
        super().__init__()
        name = spec.network.removeprefix(MONAI)
        arguments = _arguments(name, spec)
        try:
            supervision = _deep_supervision(name, arguments, enabled=spec.deep_supervision)
            self.network: nn.Module = _class(name)(**arguments | supervision)
        except Exception as error:
            raise SegForgeError(f"{spec.network} cannot be made in {spec.dimensions}D: {in_own_words(error)}.") from error

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Logits `(B, heads, ...)`; in training, with deep supervision, a list, the highest resolution first."""
        outputs = self.network(x)
        if isinstance(outputs, Tensor):
            return outputs if outputs.ndim == x.ndim else list(outputs.unbind(1))
        return outputs[0] if len(outputs) == 1 else list(outputs)


def arguments_of(name: str) -> dict[str, inspect.Parameter]:
    """The arguments that a network of the table accepts from a plan, by name.

    Raises:
        SegForgeError: If MONAI is not installed, or the name is not in the table; gives the nearest.
    """
    return {key: value for key, value in constructor(name).items() if key not in (*DECIDED, *DOWNLOADING)}


def constructor(name: str) -> Mapping[str, inspect.Parameter]:
    """All arguments of a network's constructor, by name.

    Raises:
        SegForgeError: As `arguments_of`.
    """
    return inspect.signature(_class(name)).parameters


def has_deep_supervision(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether arguments of a network's constructor ask for heads at lower resolutions."""
    return name in HAVE_DEEP_SUPERVISION and bool(arguments.get("deep_supervision") or arguments.get("dsdepth", 1) != 1)


def for_patch(spec: ArchitectureSpec, patch_size: Axes) -> ArchitectureSpec:
    """The network for patches of that size: it is an argument of those that take one size alone."""
    if _PATCH_SIZE not in arguments_of(spec.network.removeprefix(MONAI)):
        return spec
    return spec.model_copy(update={"arguments": {**spec.arguments, _PATCH_SIZE: list(patch_size)}})


def has_one_size(spec: ArchitectureSpec) -> bool:
    """Whether it takes patches of one size alone."""
    return _PATCH_SIZE in spec.arguments


def in_own_words(error: Exception) -> str:
    """What an error of MONAI's or PyTorch's says, as part of a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _arguments(name: str, spec: ArchitectureSpec) -> dict[str, Any]:
    """The arguments of the plan, checked, with dimensions and channels."""
    known = arguments_of(name)
    for given in spec.arguments:
        if given in DECIDED:
            raise SegForgeError(f"{MONAI}{name}: {given} is no argument to choose; it follows from the data set and the plan.")
        if given not in known:
            hint = did_you_mean(given, known) or f" It takes {', '.join(known)}."
            raise SegForgeError(f"{MONAI}{name} takes no argument {given} here.{hint}")
    needed = [key for key, parameter in known.items() if parameter.default is inspect.Parameter.empty]
    if missing := [key for key in needed if key not in spec.arguments]:
        raise SegForgeError(f"{MONAI}{name} needs {', '.join(missing)}. Give {missing[0]}=VALUE with --network-arguments.")
    return copy.deepcopy(spec.arguments) | {key: getattr(spec, field) for key, field in CHANNELS.items()}


def _deep_supervision(name: str, arguments: Mapping[str, Any], *, enabled: bool) -> dict[str, Any]:
    """How a network is told to have heads at lower resolutions, in training, as many as its stages allow."""
    if name == "DynUNet":
        heads = max(len(arguments["strides"]) - 2, 1)
        return {"deep_supervision": enabled, "deep_supr_num": arguments.get("deep_supr_num", heads)}
    if name == "MedNeXt":
        return {"deep_supervision": enabled}
    if name == "SegResNetDS":
        depth = arguments.get("dsdepth", len(arguments.get("blocks_down", (1, 2, 2, 4))))
        return {"dsdepth": depth if enabled else 1}
    return {}


def _class(name: str) -> type[nn.Module]:
    if name not in NAMES:
        hint = did_you_mean(name, NAMES) or f" Known are {', '.join(NAMES)}."
        raise SegForgeError(f"{MONAI}{name} is not among the networks of MONAI's here.{hint}")
    try:
        import einops  # noqa: F401, SwinUNETR fails late without it
        from monai.networks import nets
    except ImportError as error:
        raise SegForgeError(f"{MONAI}{name} needs {error.name}. Install it with: pip install 'segforge[monai]'") from error
    kind: type[nn.Module] = getattr(nets, name)
    return kind
