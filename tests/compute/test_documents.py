import math
from pathlib import Path

import pytest

from segforge.compute.documents import Document, NanFloat, to_json
from segforge.errors import SegForgeError


class Inner(Document):
    size: tuple[int, ...]


class Outer(Document):
    name: str
    inner: Inner
    score: NanFloat = math.nan


def test_what_is_written_reads_back_equal(tmp_path: Path) -> None:
    document = Outer(name="é", inner=Inner(size=(1, 2)), score=0.1 + 0.2)
    document.write(tmp_path / "a.json")
    assert Outer.read(tmp_path / "a.json") == document


def test_nan_is_null_in_json_and_nan_again_when_read(tmp_path: Path) -> None:
    Outer(name="a", inner=Inner(size=())).write(tmp_path / "a.json")
    assert '"score": null' in (tmp_path / "a.json").read_text()
    assert math.isnan(Outer.read(tmp_path / "a.json").score)


def test_a_wrong_value_is_named_with_file_field_and_value(tmp_path: Path) -> None:
    path = tmp_path / "plans.json"
    path.write_text('{"name": "a", "inner": {"size": [1, "two"]}}')
    with pytest.raises(SegForgeError, match=r'plans\.json is not valid\. inner\.size\.1: .*integer.*"two"'):
        Outer.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"name": ', r"not valid JSON: .* line 1, column 10"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[1]", "not valid"),
        (b'{"name": "a", "inner": {"size": []}, "nmae": 1}', "nmae is not known here"),
        (b"[" * 100000, "not valid JSON"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(SegForgeError, match=rf"broken\.json.*{message}"):
        Outer.read(path)


def test_short_lists_stand_on_one_line_and_long_ones_do_not() -> None:
    text = to_json({"patch": [40, 56, 40], "long": list(range(60))})
    assert '  "patch": [40, 56, 40],\n' in text
    assert text.count("\n") > 60
