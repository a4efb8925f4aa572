"""SegForge: self-configuring biomedical image segmentation."""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Look",
    "PictureChoice",
    "PlannerSettings",
    "SegForgeError",
    "TrainingMode",
    "TrainingOptions",
    "Work",
    "Workers",
    "apply_postprocessing",
    "clean",
    "convert_dicom",
    "convert_images",
    "convert_msd",
    "convert_nnunet_v1",
    "cross_validate",
    "describe",
    "determine_postprocessing",
    "ensemble",
    "estimate",
    "evaluate",
    "export_model",
    "find_best",
    "import_bundle",
    "import_models",
    "import_plans",
    "load",
    "plan",
    "plot",
    "predict",
    "preprocess",
    "run",
    "split",
    "status",
    "stop",
    "train",
    "verify",
]

if TYPE_CHECKING:
    from segforge.api.cleaning import clean
    from segforge.api.conversion import convert_dicom, convert_images, convert_msd, convert_nnunet_v1, describe
    from segforge.api.dataset import split, verify
    from segforge.api.ensembling import ensemble
    from segforge.api.estimation import estimate
    from segforge.api.evaluation import cross_validate, evaluate
    from segforge.api.planning import Work, import_plans, plan, preprocess
    from segforge.api.plotting import PictureChoice, plot
    from segforge.api.postprocessing import apply_postprocessing, determine_postprocessing
    from segforge.api.prediction import load, predict
    from segforge.api.run import run
    from segforge.api.selection import find_best
    from segforge.api.sharing import export_model, import_bundle, import_models
    from segforge.api.training import TrainingMode, TrainingOptions, train
    from segforge.api.workers import Workers
    from segforge.dataset.scenes import Look
    from segforge.errors import SegForgeError
    from segforge.planning.settings import PlannerSettings

_PLACES = {
    "Look": "segforge.dataset.scenes",
    "PictureChoice": "segforge.api.plotting",
    "PlannerSettings": "segforge.planning.settings",
    "SegForgeError": "segforge.errors",
    "TrainingMode": "segforge.api.training",
    "TrainingOptions": "segforge.api.training",
    "Work": "segforge.api.planning",
    "Workers": "segforge.api.workers",
    "apply_postprocessing": "segforge.api.postprocessing",
    "clean": "segforge.api.cleaning",
    "convert_dicom": "segforge.api.conversion",
    "convert_images": "segforge.api.conversion",
    "convert_msd": "segforge.api.conversion",
    "convert_nnunet_v1": "segforge.api.conversion",
    "cross_validate": "segforge.api.evaluation",
    "describe": "segforge.api.conversion",
    "determine_postprocessing": "segforge.api.postprocessing",
    "ensemble": "segforge.api.ensembling",
    "estimate": "segforge.api.estimation",
    "evaluate": "segforge.api.evaluation",
    "export_model": "segforge.api.sharing",
    "find_best": "segforge.api.selection",
    "import_bundle": "segforge.api.sharing",
    "import_models": "segforge.api.sharing",
    "import_plans": "segforge.api.planning",
    "load": "segforge.api.prediction",
    "plan": "segforge.api.planning",
    "plot": "segforge.api.plotting",
    "predict": "segforge.api.prediction",
    "preprocess": "segforge.api.planning",
    "run": "segforge.api.run",
    "split": "segforge.api.dataset",
    "status": "segforge.api.status",
    "stop": "segforge.api.stopping",
    "train": "segforge.api.training",
    "verify": "segforge.api.dataset",
}


def __getattr__(name: str) -> Any:
    """Import a function when it is first used, so that `import segforge` costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module 'segforge' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)
