"""The SQL that serving/index/README.md gives, read from there."""

import re

from tests.conftest import ROOT

DOCUMENT = ROOT / "serving" / "index" / "README.md"
MODEL = re.compile(r"'\w+@[0-9a-f]{12}'")
SIZE = re.compile(r"vector\(64\)|halfvec\(64\)")


def documented(name: str, model: str, dim: int) -> list[str]:
    """The statements below `<!-- sql: name -->`, for another model and its dimension."""
    found = re.search(rf"<!-- sql: {name} -->\n\n```sql\n(.*?)\n```", DOCUMENT.read_text(), re.DOTALL)
    assert found, name
    text = SIZE.sub(lambda size: size[0].replace("64", str(dim)), MODEL.sub(f"'{model}'", found[1]))
    return [statement.strip() for statement in text.split(";")]
