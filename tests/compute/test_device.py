import pytest
import torch

from segforge.compute.device import available_devices, resolve_device
from segforge.errors import SegForgeError


def test_auto_takes_the_fastest_device() -> None:
    assert str(resolve_device("auto")) == available_devices()[0]


def test_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


def test_a_missing_device_is_an_error_that_lists_what_there_is() -> None:
    with pytest.raises(SegForgeError, match=r"cuda:99 is not available.*cpu"):
        resolve_device("cuda:99")
