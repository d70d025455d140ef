"""The rules of the house: each holds in this repository, and a tree that breaks it is noticed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import rules
from tests.conftest import ROOT
from tests.reports.lines import code_lines

Tree = Callable[[dict[str, str]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes files, path → content, into an empty folder and returns it."""

    def write(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return write


def test_rule_1_packages_import_only_what_they_may(tree: Tree) -> None:
    assert not rules.foreign_imports(ROOT)
    files = {
        "loadtest/a.py": "import json, serving.model",
        "models/a.py": "from . import manifest",
        "serving/a.py": "def f():\n    from training.data import mnist",
        "deploy/__init__.py": "",
    }
    assert rules.foreign_imports(tree(files)) == [
        "deploy: not listed",
        "models/a.py: ..manifest",
        "serving/a.py: training.data.mnist",
        "loadtest/a.py: serving.model",
    ]


def test_rule_1_serving_loads_neither_torch_nor_onnx() -> None:
    code = "import sys, serving.__main__; sys.exit(bool({'torch', 'onnx', 'training'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_rule_2_the_core_imports_no_framework(tree: Tree) -> None:
    assert not rules.frameworks_in_the_core(ROOT)
    files = {
        "serving/index/a.py": "import fastapi.responses",
        "serving/b.py": "from serving.http import routes",
        "serving/c.py": "import uvloop",
        "serving/http/a.py": "import starlette",
        "serving/app.py": "import fastapi",
    }
    assert rules.frameworks_in_the_core(tree(files)) == [
        "serving/b.py: serving.http.routes",
        "serving/index/a.py: fastapi.responses",
    ]


def test_rule_3_doors_do_not_import_each_other(tree: Tree) -> None:
    assert not rules.linked_doors(ROOT)
    files = {
        "serving/http/front.py": "from serving.http import answers, routes",
        "serving/http/oip/a.py": "from serving.http.front import Front\nfrom serving.http.oip import b",
        "serving/http/routes.py": "import serving.http.pages",
        "serving/app.py": "from serving.http import front, routes",
    }
    assert rules.linked_doors(tree(files)) == [
        "serving/http/front.py: serving.http.routes",
        "serving/http/oip/a.py: serving.http.front.Front",
        "serving/http/routes.py: serving.http.pages",
    ]


def test_rule_4_stages_and_experiments_stand_alone(tree: Tree) -> None:
    from training.provenance import MAKES_WEIGHTS

    assert not rules.linked_stages(ROOT)
    assert not rules.users_of_the_laboratory(ROOT)
    assert not rules.laboratory_in_a_key(ROOT, MAKES_WEIGHTS)
    root = tree(
        {
            "training/stages/a.py": "from training.stages.b import train\nfrom training import losses",
            "training/report.py": "from training import experiments",
            "training/experiments/b.py": "import training.experiments.c",
        }
    )
    assert rules.linked_stages(root) == ["training/stages/a.py: training.stages.b.train"]
    assert rules.users_of_the_laboratory(root) == ["training/report.py: training.experiments"]
    assert rules.laboratory_in_a_key(root, ("*", "experiments/*")) == ["training/experiments/b.py"]


def test_rule_5_digits_stay_where_they_are_the_subject(tree: Tree) -> None:
    assert not rules.digits_elsewhere(ROOT)
    code = (
        '"""Digits."""\nfrom training.views.digits import views\nimport training.data.mnist as data\n'
        'def f(image, *, mnist_form=27):\n    """A digit of 28."""\n    return f(image.digit, "MNIST", size=28)\n'
    )
    answers = '{"digit": one.digit, "digits": 1}'
    files = {
        "training/a.py": code,
        "serving/http/answers.py": answers,
        "serving/http/routes.py": '"28×28"; {"digit": 1}',
    }
    fine = {"models/pictures/ink.py": code, "training/data/mnist_files.py": code, "training/experiments/a.py": code}
    assert sorted(rules.digits_elsewhere(tree(files | fine | {"models/pictures/decode.py": "SIZE = 784"}))) == [
        "models/pictures/decode.py:1: 784",
        "serving/http/answers.py:1: digits",
        "serving/http/routes.py:1: digit",
        "training/a.py:4: mnist_form",
        "training/a.py:6: 28",
        "training/a.py:6: MNIST",
        "training/a.py:6: digit",
    ]


def test_no_file_is_long(tree: Tree) -> None:
    assert not rules.long_files(ROOT)
    assert rules.long_files(tree({"tests/a.py": "pass\n" * (rules.MAX_FILE_LINES + 1)})) == ["tests/a.py"]


def test_no_function_is_long(tree: Tree) -> None:
    assert not rules.long_functions(ROOT)
    lines = "".join(f"    a = {number}\n\n    # why\n" for number in range(rules.MAX_FUNCTION_LINES))
    files = {
        "models/a.py": f'class A:\n  def long(self):\n    """Doc."""\n{lines}',
        "training/experiments/a.py": f"def long():\n{lines}",
        "serving/a.py": f"async def short():\n{lines[: lines.rindex('    a')]}",
    }
    assert rules.long_functions(tree(files)) == ["models/a.py: long has 41"]


def test_lines_of_code_leave_out_docstrings_comments_and_blanks() -> None:
    source = '"""Module."""\n\n# comment\nfield = (\n    1,  # a\n)\n"""Of the field,\nlong."""\ntext = """a\n\nb"""\n'
    assert code_lines(source) == {4, 5, 6, 9, 10, 11}
