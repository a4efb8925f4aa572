"""Everything in plans and data set description that a preprocessed case depends on, as one hash."""

import hashlib

from segforge.compute.documents import to_json
from segforge.dataset.description import DatasetDescription
from segforge.planning.plans import Configuration, Plans

_CODE_VERSION = 1  # raised whenever the same plans give other arrays

_FROM_THE_CASE_ALONE = {"none", "zscore", "rescale_to_0_1", "rgb_to_0_1"}


def recipe(plans: Plans, configuration: Configuration, description: DatasetDescription) -> str:
    """Hash of what makes two preprocessings of the same raw files the same.

    The data set's intensities count only for channels whose normalization uses them, so that an added case does not
    make all others anew where it need not.
    """
    labels = description.label_scheme
    channels = zip(configuration.normalization, plans.intensities, strict=True)
    parts = {
        "code": _CODE_VERSION,
        "transpose": plans.transpose_forward,
        "spacing": configuration.spacing,
        "normalization": [spec.model_dump() for spec in configuration.normalization],
        "resampling": configuration.resampling.model_dump(),
        "dtype": configuration.dtype,
        "intensities": [facts.model_dump() for spec, facts in channels if spec.name not in _FROM_THE_CASE_ALONE],
        "canonical": description.is_canonical,
        "labels": [labels.stored_values, labels.ignore_value, [(target.key, target.classes) for target in labels.targets]],
    }
    return hashlib.sha256(to_json(parts).encode()).hexdigest()
