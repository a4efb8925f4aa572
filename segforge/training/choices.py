"""What the settings may choose from, by name, for those who only list it."""

OPTIMIZERS: dict[str, dict[str, float]] = {
    "sgd": {"learning_rate": 1e-2, "weight_decay": 3e-5},
    "adam": {"learning_rate": 3e-4, "weight_decay": 3e-5},
    "adamw": {"learning_rate": 3e-4, "weight_decay": 1e-2},
    "adan": {"learning_rate": 1e-3, "weight_decay": 2e-2},
}
"""The optimizers, each with the numbers that it has where nothing else is asked for."""

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""In what networks may compute."""

SCHEDULES = ("poly", "cosine", "constant")
"""How the learning rate may fall."""
