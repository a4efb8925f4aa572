"""The batches of a training: what reads them, and one after the other with a progress bar."""

from collections.abc import Iterable, Sequence

from segforge.compute.progress import progress_bar
from segforge.preprocessing.preprocessor import PreprocessedCase
from segforge.training.augmentation import BatchTransform
from segforge.training.job import TrainingJob
from segforge.training.reader import Batch, Reader
from segforge.training.sampler import CaseLayout, Sampler


def open_reader(job: TrainingJob, names: Sequence[str], transform: BatchTransform, purpose: int) -> Reader:
    """What reads batches of some cases, each of which is opened.

    Args:
        job: The training.
        names: Ids of the cases.
        transform: What will be done to the batches.
        purpose: A number that keeps the draws of training and validation apart.
    """
    settings, cases = job.settings, job.cases
    layouts = {name: CaseLayout(_spatial(cases[name]), cases[name].locations) for name in names}
    patch, initial = _in_3d(transform.patch_size), _in_3d(transform.initial_patch_size)
    sampler = Sampler(layouts, patch, initial, settings.batch_size, settings.foreground_share, drawn=settings.foreground_drawn)
    return Reader(
        cases, sampler, transform, batch_size=settings.batch_size, seed=settings.seed, purpose=purpose,
        pins=job.device.type == "cuda",
    )  # fmt: skip


def shown_batches(reader: Reader, numbers: range, description: str) -> Iterable[Batch]:
    """The batches of those numbers, read ahead, with a progress bar."""
    with progress_bar(len(numbers), description) as advance, reader.ahead(numbers) as batches:
        for batch in batches:
            yield batch
            advance()


def _spatial(case: PreprocessedCase) -> tuple[int, int, int]:
    z, y, x = case.image.shape[1:]
    return z, y, x


def _in_3d(size: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (3 - len(size)) + size
