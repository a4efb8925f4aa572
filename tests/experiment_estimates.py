"""An estimate as it would be measured."""

from segforge.training.estimate import Estimate


def estimate(**more) -> Estimate:
    content = {
        "device": "cpu", "opening_seconds": 0, "reading_seconds": 0, "augmentation_seconds": 0, "network_seconds": 1,
        "step_seconds": 2, "validation_step_seconds": 0.5, "saving_seconds": 0, "epoch_seconds": 10, "epochs": 10,
        "training_seconds": 100, "host_memory": 700, "case_memory": 200, "device_memory": None, "bound_by": "network",
        "advice": [],
    }  # fmt: skip
    return Estimate.parse(content | more, "test")
