"""Programs that people follow trainings with: each is told what the history is told, in a thread of its own."""

LOGGERS = {
    "tensorboard": "segforge.training.loggers.tensorboard:TensorBoardLogger",
    "wandb": "segforge.training.loggers.wandb:WandbLogger",
    "mlflow": "segforge.training.loggers.mlflow:MlflowLogger",
}
"""Our names of them; those of plug-ins are entry points `segforge.loggers`."""
