"""The published JSON schema of plans; run this file to write it anew."""

import json
from pathlib import Path

from segforge.planning.plans import Plans

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "plans.schema.json"


def test_the_published_schema_is_that_of_the_program() -> None:
    assert json.loads(PUBLISHED.read_text()) == Plans.model_json_schema()


if __name__ == "__main__":
    PUBLISHED.write_text(json.dumps(Plans.model_json_schema(), indent=2) + "\n")
