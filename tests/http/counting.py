"""How many requests the service itself says that it has answered."""

import re
import socket
from dataclasses import dataclass

from tests.http.cases import GET
from tests.http.exchange import SILENCE_S, Address, read_answer

ASK = GET.replace(b"/health/live", b"/metrics") + b"Connection: close\r\n\r\n"


@dataclass
class RequestCount:
    """The sum of the service's counters, read from its metrics."""

    address: Address
    counted: int = 0

    def since_last_time(self) -> int:
        """Requests since this was last called; those that ask for the metrics are left out."""
        with socket.create_connection(self.address, timeout=SILENCE_S) as connection, connection.makefile("rb") as file:
            connection.sendall(ASK)
            answer = read_answer(file)
        assert answer is not None
        counts = re.findall(r"^fewlabel_requests_total\{.*\} (\S+)$", answer.body.decode(), re.MULTILINE)
        before, self.counted = self.counted, sum(int(float(count)) for count in counts) + 1
        return self.counted - before - 1
