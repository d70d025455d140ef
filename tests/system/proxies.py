"""haproxy and nginx before the service, configured as usual: connections to the service are kept and shared.

Their timeouts are short, so that a case that waits for ever takes no longer than they do.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.http.exchange import Address
from tests.system.running import free_port, needed, running

HAPROXY = """
global
    log stdout format raw local0
defaults
    mode http
    log global
    option http-keep-alive
    http-reuse always
    timeout connect 2s
    timeout server 2s
    timeout client 2s
    timeout http-request 1s
    timeout http-keep-alive 2s
frontend in
    bind 127.0.0.1:{port}
    http-response set-var(txn.id) res.hdr(x-request-id)
    log-format "tries=%s id=%[var(txn.id)]"
    default_backend fewlabel
backend fewlabel
    server one {host}:{service}
"""
NGINX = """
{user}
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ }}
http {{
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    log_format counted 'tries=$upstream_addr id=$upstream_http_x_request_id';
    access_log access.log counted;
    client_header_timeout 1s;
    client_body_timeout 1s;
    keepalive_timeout 2s;
    upstream fewlabel {{
        server {host}:{service};
        keepalive 8;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://fewlabel;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Connection "";
            proxy_read_timeout 2s;
            proxy_request_buffering {buffering};
        }}
    }}
}}
"""
NAMES = ("haproxy", "nginx", "nginx, unbuffered")
NOWHERE = ("-", "<NOSRV>", "")
"""What the logs have in place of a server where the proxy answered by itself."""


@dataclass
class Proxy:
    """A running proxy and its log, which has a line for each request."""

    address: Address
    log: Path
    _read: int = 0

    def requests_since_last_time(self) -> tuple[int, int]:
        """How many requests the proxy has sent to the service, and how many of these the service has answered."""
        text = self.log.read_text(errors="replace")
        end = text.rfind("\n") + 1
        sent = answered = 0
        for line in text[self._read : end].splitlines():
            if line.startswith("tries="):
                tries, _, own_id = line.removeprefix("tries=").partition(" id=")
                sent += sum(one not in NOWHERE for one in tries.split(", "))
                answered += own_id not in NOWHERE
        self._read = end
        return sent, answered


@contextmanager
def proxying(name: str, service: Address, folder: Path) -> Iterator[Proxy]:
    """One of `NAMES` before the service; skips the test where it is not installed."""
    program, port = needed(name.split(",")[0]), free_port()
    values = {"host": service[0], "service": service[1], "port": port}
    configuration = folder / "configuration"
    if name == "haproxy":
        configuration.write_text(HAPROXY.format(**values))
        with running([program, "-db", "-f", str(configuration)], folder, port) as output:
            yield Proxy(("127.0.0.1", port), output)
        return
    user = "user root;" if os.geteuid() == 0 else ""  # who may write to this folder
    configuration.write_text(NGINX.format(**values, user=user, buffering="off" if "unbuffered" in name else "on"))
    arguments = [program, "-p", str(folder), "-e", "error.log", "-c", str(configuration), "-g", "daemon off;"]
    with running(arguments, folder, port):
        yield Proxy(("127.0.0.1", port), folder / "access.log")
