"""Which file a table means by a path."""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from models.names import folded


class Matches:
    """Finds files by paths that people and programs wrote down; `names` are below the root, `root` is its own name."""

    def __init__(self, names: Iterable[str], root: str) -> None:
        self._names, self._root = set(names), folded(root)

    def find(self, paths: Iterable[str]) -> list[str]:
        """The names that one of `paths`, the likeliest first, may mean: none, the one, or several."""
        paths = tuple(paths)
        for path in paths:
            if path in self._names:
                return [path]
        for look in (self._by_folded, self._below_a_folder, self._cleaned):
            for path in paths:
                if found := look(path):
                    return found
        return []

    def _by_folded(self, path: str) -> list[str]:
        """In another case, with other accents, or with the root's own name in front."""
        wanted = folded(path)
        return self._folded.get(wanted, []) or self._folded.get(wanted.removeprefix(f"{self._root}/"), [])

    def _below_a_folder(self, path: str) -> list[str]:
        """`1.jpg` for `images/1.jpg`."""
        wanted = f"/{folded(path)}"
        return [name for name in self._last.get(wanted.rpartition("/")[2], []) if folded(name).endswith(wanted)]

    def _cleaned(self, path: str) -> list[str]:
        """`my_photo_1.jpg` for `my photo (1).jpg`: what Django's storage, and so Label Studio, makes of a name."""
        return self._clean.get(_clean(path), []) if "/" not in path else []

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        return _grouped((folded(name), name) for name in self._names)

    @cached_property
    def _last(self) -> dict[str, list[str]]:
        return _grouped((folded(name).rpartition("/")[2], name) for name in self._names)

    @cached_property
    def _clean(self) -> dict[str, list[str]]:
        return _grouped((_clean(name.rpartition("/")[2]), name) for name in self._names)


def _clean(name: str) -> str:
    return re.sub(r"[^-\w.]", "", folded(name).strip().replace(" ", "_"))


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups = defaultdict(list)
    for key, name in pairs:
        groups[key].append(name)
    return groups
