"""From logits on the network's grid to the label map on the grid of the original file."""

from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.dataset.labels import LabelScheme
from segforge.images.crop import uncropped
from segforge.planning.plans import Configuration, Plans
from segforge.preprocessing.preprocessor import CaseProperties
from segforge.preprocessing.resampling import find_resampling

Array = npt.NDArray[Any]


def labels_from_logits(
    logits: Array, properties: CaseProperties, plans: Plans, configuration: Configuration, labels: LabelScheme
) -> Array:
    """The label map `(Z, Y, X)` of a case in stored axes and stored values.

    Works slab by slab: besides the logits only one slab of them is held on the original grid.

    Args:
        logits: `(heads, Z, Y, X)` float32 on the preprocessed grid.
        properties: The way back.
        plans: For the axis order.
        configuration: For the spacing of the logits.
        labels: From logits to classes to stored values.
    """
    spacing = properties.spacing
    network_spacing = configuration.spacing if configuration.dimensions == 3 else (spacing[0], *configuration.spacing)
    resampling = find_resampling(configuration.resampling.method).between(
        logits.shape[1:], properties.box.shape, network_spacing, spacing
    )
    classes = np.empty(properties.box.shape, np.int16)
    if resampling.is_identity:
        classes[:] = labels.classes_from_logits(logits)
    else:
        for slab, resampled in resampling.logits(logits, configuration.resampling.logits_order):
            classes[slab] = labels.classes_from_logits(resampled)
    full = uncropped(classes, properties.box, properties.shape)
    return labels.to_stored(full.transpose(plans.transpose_backward))
