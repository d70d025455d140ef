"""Which hosts a request may ask for."""

import pytest

from serving.settings import LOOPBACK, Settings
from tests.conftest import Digits
from tests.pictures.uploads import encoded
from tests.serving.sockets import connect, request, responses, serving

DOORS = ["/predict", "/predict?debug=true"]


@pytest.mark.parametrize("url", DOORS)
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("Host: fewlabel.example:8000", 200),
        ("HOST:   FEWLABEL.example  ", 200),
        ("Host: [::1]:80", 200),
        ("Host: evil.example", 421),
        ("Host: 127.0.0.1", 200),
        ("Host: 10.0.0.1", 421),
        ("Host: fewlabel.example.evil.example", 421),
        ("Host: fewlabel.example\r\nHost: fewlabel.example", 400),
        ("Host:", 400),
        ("Host: a b", 400),
        ("Host: fewlabel.example, evil.example", 400),
        ("Host: me@fewlabel.example", 400),
        ("Host: fewlabel.example:x", 400),
        ("X: 1", 400),
    ],
)
def test_the_host_is_checked_at_both_doors(digits: Digits, url: str, host: str, status: int) -> None:
    sent = request(encoded(digits[0][0]), url=url).replace(b"Host: localhost", host.encode())
    with serving(allowed_hosts="fewlabel.example") as port, connect(port) as connection:
        for _ in range(2):
            connection.sendall(sent)
            assert int(responses(connection, 1)[0][0].split()[1]) == status


def test_which_hosts_are_allowed() -> None:
    local = Settings().hosts
    assert local is not None
    assert "localhost" in local
    assert Settings(host="0.0.0.0").hosts is Settings(allowed_hosts="a, *").hosts is None
    assert Settings(host="0.0.0.0", allowed_hosts="A.example, b").hosts == LOOPBACK | {"a.example", "b"}


@pytest.mark.parametrize("names", [",", "a.example,", "a.example:8000", "http://a.example", "[::1", "a b"])
def test_hosts_that_could_never_match_are_an_error(names: str) -> None:
    with pytest.raises(ValueError, match="is no host's name"):
        Settings(allowed_hosts=names)
