"""A metric's value in JSON: null is not-a-number, the word inf is infinity."""

import math
from typing import Annotated

from pydantic import PlainSerializer

from segforge.compute.documents import NanFloat


def _in_json(value: float) -> float | str:
    return str(value) if math.isinf(value) else value


Score = Annotated[NanFloat, PlainSerializer(_in_json, when_used="json")]
"""Not-a-number where a metric is not defined for a case, infinity where one of two surfaces is missing."""
