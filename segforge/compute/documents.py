"""JSON files as frozen pydantic models: read with an error that names the field, written with a stable, readable layout."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from segforge.compute.files import write_text
from segforge.errors import SegForgeError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LINE = 110
_SHOWN = 5
_IN_WORDS = {"missing": "is missing", "extra_forbidden": "is not known here"}

NanFloat = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A float that may be not-a-number; it stands as null in JSON."""


class Document(BaseModel):
    """A JSON file that only SegForge writes: unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a file.

        Raises:
            SegForgeError: If it is missing, not JSON, or not valid; names the file, the field, the value and what is allowed.
        """
        return cls.parse(read_json(path), str(path))

    @classmethod
    def parse(cls, content: Any, source: str, *, named: Callable[[str], str] = str) -> Self:
        """Check JSON content.

        Args:
            content: What was read or asked for.
            source: Where it came from, for the error.
            named: What people call a field of it.

        Raises:
            SegForgeError: If it is not valid; names the source, the field, the value and what is allowed.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise SegForgeError(_explain(error, source, named)) from error

    def write(self, path: Path, *, durable: bool = True) -> None:
        """Write the file whole; NaN becomes null."""
        write_text(path, self.to_json(), durable=durable)

    def to_json(self) -> str:
        """The file's content."""
        return to_json(self.model_dump(mode="json"))


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        SegForgeError: If the file is missing, unreadable or not JSON; names line and column.
    """
    try:
        raw = path.read_bytes()
        content = json.loads(raw.decode(json.detect_encoding(raw)))
        if b"\\u" in raw:
            json.dumps(content, ensure_ascii=False).encode()  # half a character could never be printed or written again
        return content
    except FileNotFoundError as error:
        raise SegForgeError(f"{path} is missing.") from error
    except OSError as error:
        raise SegForgeError(f"{path} cannot be read: {error.strerror}.") from error
    except json.JSONDecodeError as error:
        raise SegForgeError(f"{path} is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except (UnicodeError, RecursionError, ValueError) as error:
        raise SegForgeError(f"{path} is not valid JSON: {error}.") from error


def to_json(value: Any) -> str:
    """JSON with one line for each list of plain values that fits in it; NaN and infinities become null."""
    return _layout(without_nan(value), "") + "\n"


def without_nan(value: Any) -> Any:
    """The value with None for every NaN and infinity in it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value


def _layout(value: Any, indent: str) -> str:
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        rows = [f"{deeper}{json.dumps(key, ensure_ascii=False)}: {_layout(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, list) or not value or len(indent) + len(line) <= _LINE:
        return line
    return "[\n" + ",\n".join(deeper + _layout(item, deeper) for item in value) + f"\n{indent}]"


def _explain(error: ValidationError, source: str, named: Callable[[str], str]) -> str:
    problems = [_problem(item, named) for item in error.errors()[:_SHOWN]]
    more = len(error.errors()) - len(problems)
    return f"{source} is not valid. " + "; ".join(problems) + (f"; and {more} more" if more else "") + "."


def _problem(item: "ErrorDetails", named: Callable[[str], str]) -> str:
    first, *deeper = [str(part) for part in item["loc"]] or [""]
    field = ".".join((named(first), *deeper)) if first else ""
    if item["type"] in _IN_WORDS:
        return f"{field} {_IN_WORDS[item['type']]}"
    message = item["msg"].removeprefix("Value error, ")
    found = "" if item["type"] == "value_error" else f" (found {_shortened(item['input'])})"
    return f"{field}: {message}{found}" if field else f"{message}{found}"


def _shortened(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
