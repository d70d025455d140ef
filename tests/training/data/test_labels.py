"""Tables of labels, as people, spreadsheets and Label Studio write them."""

from pathlib import Path

import pytest

from tests.training.data.tables import labels, touched
from training.data.collection import Collection, collect
from training.data.errors import DataError
from training.data.labels import possible_paths

FILES = ("a/1.jpg", "a/2.jpg", "b/3.jpg", "4.jpg")


def collected(root: Path, table: str | bytes, files: tuple[str, ...] = FILES) -> Collection:
    (touched(root, files) / "labels.csv").write_bytes(table.encode() if isinstance(table, str) else table)
    return collect(root)


def test_a_table_wins_over_folders(tmp_path: Path) -> None:
    collection = collected(tmp_path, "path,label,split\na/1.jpg,cat,\nb/3.jpg, dog ,test\na/2.jpg,,\n4.jpg,dog,train\n")
    assert labels(collection) == {"4.jpg": "dog", "a/1.jpg": "cat", "a/2.jpg": None, "!b/3.jpg": "dog"}
    assert collection.problems == ()


@pytest.mark.parametrize(
    "header", ["Image_Path,LABEL", "file_name,class", "Filename,Class ", "image,Label", "id,PATH,choice"]
)
def test_columns_may_have_other_names(tmp_path: Path, header: str) -> None:
    row = "7,{}" if header.startswith("id") else "{}"
    table = f"{header}\n" + "".join(f"{row.format(name)},{label}\n" for name, label in zip(FILES, "xyxy", strict=True))
    assert labels(collected(tmp_path, table)) == {"4.jpg": "y", "a/1.jpg": "x", "a/2.jpg": "y", "b/3.jpg": "x"}


@pytest.mark.parametrize(
    "table",
    [
        b"\xef\xbb\xbfpath;label\r\na\\1.jpg;\"K\xc3\xa4fer; gro\xc3\x9f\"\r\n.\\b\\3.jpg;dog\r\n",
        "path\tlabel\na/1.jpg\tKäfer; groß\nb/3.jpg\tdog\n".encode("utf-16"),
        "sep=;\r\npath;label\r\n\r\na/1.jpg;\"Käfer; groß\"\r\nb/3.jpg;dog;;;\r\n;;\r\n".encode(),
        "path;label\na/1.jpg;\"Ka\u0308fer; groß\"\nb/3.jpg;dog".encode(),
        "path;label\na/1.jpg;\"Käfer; groß\"\nb/3.jpg;dog".encode("cp1252"),
    ],
)  # fmt: skip
def test_what_spreadsheets_save(tmp_path: Path, table: bytes) -> None:
    collection = collected(tmp_path, table)
    assert labels(collection) == {"4.jpg": None, "a/1.jpg": "Käfer; groß", "a/2.jpg": None, "b/3.jpg": "dog"}
    assert collection.problems == ()
    assert ["Windows-1252" in note for note in collection.notes] == [True] * (b"K\xe4f" in table)


@pytest.mark.parametrize(
    "path",
    [
        "1.jpg",
        "A/1.JPG",
        "./a/1.jpg",
        "data/a/1.jpg",
        "/home/me/data/a/1.jpg",
        r"C:\photos\a\1.jpg",
        "s3://bucket/x/a/1.jpg",
    ],
)
def test_paths_from_elsewhere_find_their_file(tmp_path: Path, path: str) -> None:
    collection = collected(tmp_path / "data", f"path,label\n{path},cat\n4.jpg,dog\n")
    assert labels(collection)["a/1.jpg"] == "cat"
    assert collection.problems == ()


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/1/abc12345-my_photo_1.jpg",
        "http://localhost:8080/data/upload/1/abc12345-my_photo_1.jpg",
        "/data/local-files/?d=pictures/x%20y/my%20photo%20(1).jpg",
    ],
)
def test_label_studios_export(tmp_path: Path, image: str) -> None:
    head = "annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at"
    rows = [f"1,1,cat,2026-01-01,1,{image},2.5,2026-01-01", "2,1,dog,2026-01-01,2,/data/upload/1/00ff00ff-2.jpg,1,2026"]
    rows += ['3,1,"{""choices"":[""cat"",""dog""]}",2026,3,/data/upload/1/12345678-3.jpg,1,2026']
    rows += ['4,1,"[""dog""]",2026,4,/data/upload/1/12345678-4.jpg,1,2026']
    files = ("x y/my photo (1).jpg", "x y/2.jpg", "3.jpg", "12345678-4.jpg")
    collection = collected(tmp_path, "\n".join([head, *rows]), files)
    assert labels(collection) == {
        "12345678-4.jpg": "dog", "3.jpg": None, "x y/2.jpg": "dog", "x y/my photo (1).jpg": "cat",
    }  # fmt: skip
    assert collection.problems == ("labels.csv: 1 row with several labels, taken as unlabelled: line 4",)


def test_rows_without_a_file_are_told(tmp_path: Path) -> None:
    rows = "".join(f"x/{number}.jpg,cat\n" for number in range(9))
    collection = collected(tmp_path, f"path,label\n{rows}../out.jpg,cat\na/1.jpg,cat\n4.jpg,dog\n", (*FILES, "c/3.jpg"))
    assert collection.problems == (
        "labels.csv: 10 rows without a file: x/0.jpg (line 2), x/1.jpg (line 3), x/2.jpg (line 4) and 7 more",
    )
    collection = collected(tmp_path, "path,label\n3.jpg,cat\na/1.jpg,cat\n4.jpg,dog\n")
    assert collection.problems == ("labels.csv: 1 row with several files: 3.jpg (line 2)",)


def test_rows_that_say_the_same_are_one(tmp_path: Path) -> None:
    table = "path,label,split\na/1.jpg,cat,\nA\\1.jpg,cat,test\na/1.jpg,,\n4.jpg,dog,\nb/3.jpg,cat,\n"
    collection = collected(tmp_path, table)
    assert labels(collection)["!a/1.jpg"] == "cat"
    assert collection.problems == ()


def test_splits_that_are_no_test_are_trained_on(tmp_path: Path) -> None:
    collection = collected(tmp_path, "path,label,split\na/1.jpg,cat,val\n4.jpg,dog,Val\nb/3.jpg,cat,HOLDOUT\n")
    assert list(labels(collection)) == ["4.jpg", "a/1.jpg", "a/2.jpg", "!b/3.jpg"]
    assert collection.notes == ("labels.csv: 2 rows of the split val are trained on",)
    files = ("test/1.jpg", "test/2.jpg", "x/1.jpg", "x/2.jpg")
    collection = collected(tmp_path / "below", "path,label\ntest/1.jpg,a\nx/1.jpg,a\nx/2.jpg,b\n", files)
    assert list(labels(collection)) == ["!test/1.jpg", "!test/2.jpg", "x/1.jpg", "x/2.jpg"]
    assert collection.notes == ("labels.csv has no column split: 2 pictures in test/ held out",)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", r"labels\.csv: no column path .*; it is empty: the first row must name the columns"),
        ("a/1.jpg,cat\n", r"no column path \(or image_path, .*\); its first row is a/1\.jpg, cat"),
        ("path,animal\n", r"no column label \(or class, choice\); its first row is path, animal"),
        ("path,label\nx.jpg,cat\ny.jpg,dog\n", r"no row names a file in .*: x\.jpg \(line 2\), y\.jpg \(line 3\)"),
        ("path,label\n", r"none of its 4 pictures to train on has a label"),
        (
            "path,label\na/1.jpg,cat\n4.jpg,dog\n\nA/1.jpg,dog\n4.jpg,cat\n",
            r"contradict each other: 4\.jpg is 'cat' \(line 6\) and 'dog' \(line 3\), and 1 picture more: keep one row",
        ),
        (f'path,label\na/1.jpg,"{"x" * 200_000}"\n', r"labels\.csv, line 2: no CSV that can be read"),
        ('path,label\n4.jpg,dog\n"a/1.jpg,cat\nb/3.jpg,dog\n', r"labels\.csv, line 3: a quotation mark has no second"),
        ('path,label\na/1.jpg,"cat\n4.jpg,dog\nb/3.jpg,"', r"labels\.csv, line 2: a label of several lines"),
        ("PK\3\4\0\0 a spreadsheet", r"labels\.csv: no text that can be read: save it as CSV in UTF-8"),
        ("path,label\na/1.jpg,cat\n4.jpeg,dog\n", r"only one class, 'cat', .*1 row without a file: 4\.jpeg \(line 3\)"),
        ("sep=;\npath;label\n\na/1.jpg;cat\na/1.jpg;dog\n", r"'cat' \(line 4\) and 'dog' \(line 5\)"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        collected(tmp_path, table)


def test_json_may_say_nothing_or_odd_things(tmp_path: Path) -> None:
    cells = ['"{""choices"":null}"', "[]", '"[""\\ud800""]"', '"[""dog""]"']
    rows = "".join(f"{name},{cell}\n" for name, cell in zip(FILES, cells, strict=True))
    collection = collected(tmp_path, f"path,label\n{rows}")
    assert labels(collection) == {"4.jpg": "dog", "a/1.jpg": None, "a/2.jpg": None, "b/3.jpg": "\\ud800"}


def test_accents_may_be_written_either_way(tmp_path: Path) -> None:
    names = ["K\u00e4fer.jpg", "Ka\u0308fer.jpg"]
    table = f"path,label\n{names[0]},bug\n{names[1]},bug\n4.jpg,dog\n"
    assert labels(collected(tmp_path / "one", table, (names[1], "4.jpg"))) == {names[1]: "bug", "4.jpg": "dog"}
    table = f"path,label\n{names[0]},bug\n{names[1]},dog\n"
    assert labels(collected(tmp_path / "two", table, tuple(names))) == {names[0]: "bug", names[1]: "dog"}
    with pytest.raises(DataError, match="contradict each other"):
        collected(tmp_path / "three", table, (names[0],))


def test_very_deep_paths_take_neither_time_nor_memory(tmp_path: Path) -> None:
    deep = "".join(f"/{'x/' * 60_000}no{number}.jpg,cat\n" for number in range(20))
    collection = collected(tmp_path, f"path,label\na/1.jpg,cat\n4.jpg,dog\n{deep}")
    assert len(possible_paths(f"/{'x/' * 60_000}1.jpg")) <= 51
    assert sum(len(problem) for problem in collection.problems) < 2000


def test_a_table_may_be_given_itself(tmp_path: Path) -> None:
    touched(tmp_path, FILES)
    (tmp_path / "labels.csv").write_text("path,label\na/1.jpg,no\n4.jpg,never\n")
    (tmp_path / "mine.csv").write_text("path,label\na/1.jpg,cat\n4.jpg,dog\n")
    collection = collect(tmp_path / "mine.csv")
    assert collection.root == tmp_path
    assert labels(collection) == {"4.jpg": "dog", "a/1.jpg": "cat", "a/2.jpg": None, "b/3.jpg": None}
    (tmp_path / ".hidden.csv").write_text("path,label\na/1.jpg,cat\n")
    with pytest.raises(DataError, match=r"\.hidden\.csv: hidden, or a link"):
        collect(tmp_path / ".hidden.csv")


def test_a_file_of_any_name_may_have_a_label(tmp_path: Path) -> None:
    collection = collected(tmp_path, "path,label\nraw,cat\n4.jpg,dog\n", ("raw", "other", "4.jpg"))
    assert labels(collection) == {"4.jpg": "dog", "raw": "cat"}
    assert collection.notes == ("1 file left out, no pictures by the ends of their names: other",)
