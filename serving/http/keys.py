"""API keys: the file that holds them, which requests need one, and which are refused while there is none.

The file has one key a line, behind a name that the log may tell; `#` begins a comment:

    # name   key: 16 to 256 letters, digits and -._~+/=, such as `openssl rand -hex 32` gives
    alice    5b0a3d…

It is read again when it changes. Whatever is wrong with it then, the keys that were read last stay valid: a file that
is cut, missing or empty must neither open the service nor lock everybody out.
"""

import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from hmac import compare_digest
from pathlib import Path

from serving.errors import MalformedRequest, Unauthorized

logger = logging.getLogger("serving")

OPEN = frozenset({"/", "/docs", "/openapi.json"})
OPEN_BELOW = ("/health/", "/docs/assets/", "/assets/")
"""What GET gets without a key: probes, and the pages with what they need. Metrics need one: they tell what is asked
for and how often, and Prometheus can send a key."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""
INDEX = "/index"
LINE = re.compile(r"([A-Za-z0-9._-]{1,64})[ \t]+([A-Za-z0-9._~+/-]{1,256}=*)")
"""A name and a key; a key may be sent as a bearer token (RFC 6750, section 2.1)."""
MIN_KEY, MAX_KEY = 16, 256
"""Characters of a key."""
MAX_FILE_BYTES = 1_000_000
LOOK_S = 1.0
"""How often the file is looked at, while there are requests."""
SETTLED_S = 2.0
"""A file that changed so short a time before it was read may change again with the same time of change and size."""
API_KEY_FIELD = "X-API-Key"
MISSING = f"this needs a key: send one in the field {API_KEY_FIELD}, or as `Authorization: Bearer KEY`"
UNKNOWN = "the key is none of this service's"
NO_KEYS = (
    "on an address that others reach nothing is written while no key is set: let FEWLABEL_API_KEYS_FILE name a file of "
    "keys, one a line behind its name"
)

PROXIED = (
    "while no key is set nothing is written through a proxy, behind which others may be: let FEWLABEL_API_KEYS_FILE "
    "name a file of keys, one a line behind its name"
)
PROXY_FIELDS = (b"forwarded", b"via", b"x-real-ip")
"""Fields, as well as all that begin with `X-Forwarded-`, that only a proxy writes."""


class KeysError(RuntimeError):
    """The file cannot be used; the text says why, and holds no key."""


def needs_key(method: str, path: str) -> bool:
    """Whether a request is answered only with a key, where keys are set."""
    return method not in ("GET", "HEAD") or (path not in OPEN and not path.startswith(OPEN_BELOW))


def writes(method: str, path: str) -> bool:
    """Whether a request may change the index."""
    return method not in SAFE and (path == INDEX or path.startswith(f"{INDEX}/"))


def passed_on(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request's fields, names in lower case, say that it came through a proxy."""
    return any(name in PROXY_FIELDS or name.startswith(b"x-forwarded-") for name, _ in fields)


def bearer(authorization: Sequence[bytes]) -> list[bytes]:
    """The token in the values of a request's fields Authorization, if their scheme is Bearer.

    Raises MalformedRequest where there are two.
    """
    if len(authorization) > 1:
        raise MalformedRequest(f"the request has the field Authorization {len(authorization)} times")
    parts = [one.partition(b" ") for one in authorization]
    return [token.strip(b" ") for scheme, _, token in parts if scheme.lower() == b"bearer"]


class Keys:
    """The keys in a file, as it is now; for one thread.

    A key is found by Python's own hash of it, 64 bits that depend on a secret of the process (SipHash, PEP 456), and
    then compared in a time that does not depend on its characters. So no time tells how much of a guess is right, and
    it takes as long for any number of keys.

    Args:
        path: of the file.
        clock: seconds.

    Raises:
        KeysError: the file cannot be read, or holds no keys.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._keys: dict[int, tuple[bytes, str]] = {}  # hash → key and name
        self._seen: tuple[int, ...] | None = None  # what the file was when it was read; None to read it again
        self._complaint = ""
        self._look_at = clock() + LOOK_S
        self._read()

    def check(self, sent: Sequence[bytes]) -> str:
        """The name of a request's key, of which `sent` holds all: the values of X-API-Key, or else the bearer token.

        Raises MalformedRequest where there are two, Unauthorized where it is none of the file's.
        """
        if self._clock() >= self._look_at:
            self._look()
        if len(sent) != 1:
            if sent:
                raise MalformedRequest(f"the request has the field {API_KEY_FIELD} {len(sent)} times")
            raise Unauthorized(MISSING)
        found = self._keys.get(hash(sent[0]))
        if found is None or not compare_digest(found[0], sent[0]):
            raise Unauthorized(UNKNOWN)
        return found[1]

    def _look(self) -> None:
        """Reads the file again if it has changed, and keeps the keys if it cannot be used."""
        self._look_at = self._clock() + LOOK_S
        try:
            if self._seen is None or self._seen != _signature(self._path.stat()):
                self._read()
            self._complaint = ""
        except (KeysError, OSError) as error:
            text = str(error) if isinstance(error, KeysError) else f"{self._path}: {error.strerror}"
            if text != self._complaint:
                logger.log(logging.ERROR, "%s; the keys that were read before stay valid", text)
            self._complaint = text

    def _read(self) -> None:
        """Takes the keys from the file; raises KeysError."""
        found, content = _content(self._path)
        keys = {hash(key): (key, name) for name, key in parsed(content, self._path).items()}
        self._seen = _signature(found) if abs(time.time() - found.st_mtime) > SETTLED_S else None
        if keys == self._keys:
            return
        before, after = ({name for _, name in each.values()} for each in (self._keys, keys))
        gone = f"; no longer: {', '.join(sorted(before - after))}" if before - after else ""
        logger.info("API keys in %s: %s%s", self._path, ", ".join(sorted(after)), gone)
        if found.st_mode & stat.S_IROTH:
            logger.warning("every user of this machine can read the keys in %s: chmod o-r", self._path)
        self._keys = keys


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _content(path: Path) -> tuple[os.stat_result, bytes]:
    """What a file is, and what it holds; raises KeysError."""
    try:
        if not path.is_file():  # a pipe would keep the reader waiting
            raise KeysError(f"{path}: there is no such file of keys")
        with path.open("rb") as file:
            found, content = os.fstat(file.fileno()), file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise KeysError(f"{path}: has more than {MAX_FILE_BYTES:,} bytes")
    return found, content


def parsed(content: bytes, path: Path) -> dict[str, bytes]:
    """What a file of keys holds: name → key. Raises KeysError, which names the line and never the key."""
    if content and not content.endswith(b"\n"):
        raise KeysError(f"{path}: the last line does not end; was the file cut?")
    keys: dict[str, bytes] = {}
    seen: set[bytes] = set()
    for number, line in enumerate(content.decode("utf-8-sig", "replace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        where = f"{path}, line {number}"
        match = LINE.fullmatch(text)
        if not match:
            raise KeysError(f"{where}: write a name, a space and a key of letters, numerals and -._~+/=")
        name, key = match[1], match[2].encode()
        if not MIN_KEY <= len(key) <= MAX_KEY:
            raise KeysError(f"{where}: a key has {MIN_KEY} to {MAX_KEY} characters, this one {len(key)}")
        if name in keys or key in seen:
            raise KeysError(f"{where}: the {'name' if name in keys else 'key'} is there twice")
        keys[name] = key
        seen.add(key)
    if not keys:
        raise KeysError(f"{path}: holds no key")
    return keys
