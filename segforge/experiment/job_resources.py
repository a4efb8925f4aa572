"""A TOML file of what jobs ask a batch system for."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segforge.errors import SegForgeError


class StageResources(BaseModel):
    """What jobs of a kind ask for.

    Attributes:
        cores: Processor cores, and threads that computing uses.
        memory: In GB.
        hours: Longest time.
        gpus: GPUs.
        lines: Further directives, without the batch system's word before them: `--partition=gpu`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cores: int = Field(default=8, ge=1)
    memory: int = Field(default=32, ge=1)
    hours: int = Field(default=24, ge=1)
    gpus: int = Field(default=0, ge=0)
    lines: tuple[str, ...] = ()


class TrainingResources(StageResources):
    """What a training asks for."""

    hours: int = Field(default=72, ge=1)
    gpus: int = Field(default=1, ge=0)


class SelectionResources(StageResources):
    """What the selection of the best asks for, which may have to predict."""

    gpus: int = Field(default=1, ge=0)


class ClusterResources(StageResources):
    """What the job asks for in which a dask scheduler and `segforge run` live as long as the experiment.

    Attributes:
        workers: Jobs that do the work, each with what a training asks for; None is one for each training that can begin at
            once.
    """

    cores: int = Field(default=2, ge=1)
    memory: int = Field(default=8, ge=1)
    hours: int = Field(default=72, ge=1)
    workers: int | None = Field(default=None, ge=1)


class JobResources(BaseModel):
    """A TOML file with a table for each kind of job; what it does not say is as here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prepare: StageResources = StageResources()
    train: TrainingResources = TrainingResources()
    select: SelectionResources = SelectionResources()
    cluster: ClusterResources = ClusterResources()

    @classmethod
    def read(cls, path: Path) -> "JobResources":
        """Read a file.

        Raises:
            SegForgeError: If it is missing, no TOML, or says what it cannot; names the field.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise SegForgeError(f"{path} cannot be read: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SegForgeError(f"{path} is no TOML: {error}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise SegForgeError(f"{path}: {field}: {first['msg']} (found {first['input']!r}).") from error
