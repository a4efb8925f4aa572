"""TensorBoard: event files in the fold's folder. Look at them with `tensorboard --logdir results`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from segforge.training.loggers.logger import LoggedRun


class TensorBoardLogger:
    """Writes scalars, the settings as text, and the picture of the progress."""

    package: ClassVar[str] = "tensorboard"

    def __init__(self, run: LoggedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.first_epoch)
        self._writer.add_text("settings", f"```\n{json.dumps(run.settings, indent=2)}\n```", run.first_epoch)

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Write an epoch's numbers, so that they can be seen at once."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def picture(self, epoch: int, path: Path) -> None:
        """Write the picture."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            self._writer.add_image("progress", np.asarray(image.convert("RGB")), epoch, dataformats="HWC")

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
