"""A SegResNet of MONAI's, planned, trained and used like any other network:

    python monai_segresnet.py DATASET IMAGES OUTPUT [EPOCHS [ITERATIONS]]

DATASET: number or name of a data set of the workspace. IMAGES: folder of images to predict into OUTPUT. The same as

    segforge plan -d DATASET -c 3d_fullres --network monai:SegResNet --network-arguments blocks_down=[1,2,2] blocks_up=[1,1]
    segforge train DATASET 3d_fullres 0 -p segresnet --optimizer adamw --lr 0.001 --batch-size 2 --epochs EPOCHS
    segforge predict -i IMAGES -o OUTPUT -d DATASET -p segresnet
"""

import sys
from pathlib import Path

from segforge import PlannerSettings, TrainingOptions, plan, predict, train


def main(dataset: str, images: str, output: str, epochs: int = 1000, iterations: int = 250) -> None:
    arguments = {"blocks_down": [1, 2, 2], "blocks_up": [1, 1]}  # two halvings; what is not given is MONAI's default
    settings = PlannerSettings(network="monai:SegResNet", network_arguments=arguments)
    plan(dataset, settings=settings, configurations=["3d_fullres"])  # patch, batch and memory follow; the plans are `segresnet`
    options = TrainingOptions(
        epochs=epochs,
        iterations=iterations,
        validation_iterations=max(iterations // 5, 1),
        batch_size=2,
        optimizer="adamw",
        learning_rate=1e-3,
    )
    train(dataset, "3d_fullres", 0, plans="segresnet", options=options)
    predict(Path(images), Path(output), dataset=dataset, plans="segresnet")


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
