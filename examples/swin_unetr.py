"""A small SwinUNETR of MONAI's with the optimizer that transformers like:

    python swin_unetr.py DATASET CONFIGURATION IMAGES OUTPUT [EPOCHS [ITERATIONS]]

DATASET: number or name of a data set of the workspace. CONFIGURATION: 2d or 3d_fullres. IMAGES: folder of images to predict
into OUTPUT. Its patches must be divisible by 32 and longer than that; other sizes are refused when it is planned.
"""

import sys
from pathlib import Path

from segforge import PlannerSettings, TrainingOptions, plan, predict, train


def main(dataset: str, configuration: str, images: str, output: str, epochs: int = 1000, iterations: int = 250) -> None:
    network = PlannerSettings(
        network="monai:SwinUNETR", network_arguments={"feature_size": 12}, patch_size=(64, 64, 64), name="swin"
    )
    plan(dataset, settings=network, configurations=[configuration])
    options = TrainingOptions(
        epochs=epochs,
        iterations=iterations,
        validation_iterations=max(iterations // 5, 1),
        batch_size=2,
        optimizer="adamw",
        learning_rate=4e-4,
        schedule="cosine",
    )
    train(dataset, configuration, 0, plans="swin", options=options)
    predict(Path(images), Path(output), dataset=dataset, plans="swin", configuration=configuration)


if __name__ == "__main__":
    main(*sys.argv[1:5], *map(int, sys.argv[5:]))
