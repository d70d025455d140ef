"""The manifest: what it says of the committed bundle, and which ones are not read."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from models.manifest import BundleError, InputSpec, Manifest, TensorSpec
from models.pictures.preparation import preparation
from tests.conftest import BUNDLE


def test_the_committed_manifest_says_what_goes_in() -> None:
    manifest = Manifest.load(BUNDLE)
    assert manifest.input == InputSpec("digit", height=28, width=28, channels=1)
    assert manifest.inputs == (TensorSpec("image", "uint8", ("batch", *manifest.input.shape)),)
    assert preparation(manifest.input).already_prepared(b"") is None
    assert manifest.network["widths"] == [16, 16, 32]
    assert manifest.knowledge == "none"


@pytest.mark.parametrize(("schema", "shown"), [(None, "missing"), (2, "2"), (4, "4"), ("3", "3")])
def test_another_schema_is_refused_with_what_to_do(tmp_path: Path, schema: Any, shown: str) -> None:
    fields = json.loads((BUNDLE / "manifest.json").read_text())
    del fields["schema_version"]
    changed = fields if schema is None else {**fields, "schema_version": schema}
    (tmp_path / "manifest.json").write_text(json.dumps(changed))
    with pytest.raises(
        BundleError, match=rf"manifest.json: .*schema_version is {shown}, .*3 only; `make train-export`"
    ):
        Manifest.load(tmp_path)


def rewritten(folder: Path, **changes: Any) -> Path:
    """The committed manifest and what it lists, with other fields."""
    shutil.copytree(BUNDLE, folder, dirs_exist_ok=True)
    fields = json.loads((BUNDLE / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**fields, **changes}))
    return folder


@pytest.mark.parametrize("names", [[], ["Äpfel & Öl", 'quo"te', "two\nlines", "猫", "🍎", ""]])
def test_classes_may_have_any_names_or_there_may_be_none(tmp_path: Path, names: list[str]) -> None:
    assert Manifest.load(rewritten(tmp_path, class_names=names)).class_names == tuple(names)


@pytest.mark.parametrize("names", [["a", "a"], "abc", {"a": 1}, [1, 2], [None], ["\ud800"], None])
def test_names_that_are_no_names_are_refused(tmp_path: Path, names: object) -> None:
    with pytest.raises(BundleError, match="not a manifest"):
        Manifest.load(rewritten(tmp_path, class_names=names))


@pytest.mark.parametrize("field", ["name", "created", "protocol", "knowledge"])
def test_what_must_be_a_text_is_one(tmp_path: Path, field: str) -> None:
    with pytest.raises(BundleError, match=r"not a manifest .*None is no text"):
        Manifest.load(rewritten(tmp_path, **{field: None}))


@pytest.mark.parametrize("input_", [{}, None, [28, 28], {"kind": "digit", "height": 28, "width": 28, "depth": 1}])
def test_an_input_of_other_fields_is_refused(tmp_path: Path, input_: Any) -> None:
    fields = json.loads((BUNDLE / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**fields, "input": input_}))
    with pytest.raises(BundleError, match="not a manifest"):
        Manifest.load(tmp_path)
