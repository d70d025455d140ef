"""One connection to a database, shared by threads. Knows no database."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, Protocol, TypeVar

from serving.errors import ServiceError, StoreFailure
from serving.logs import Bounded, one_line


class Closable(Protocol):
    """A connection."""

    def close(self) -> None:
        """Rolls back what is not committed."""


C = TypeVar("C", bound=Closable)


class Link(Generic[C]):
    """A connection that is opened when it is needed, used by one thread at a time, and closed after any failure.

    Args:
        connect: opens it.
        failures: what it raises, and `told` turns into what the client reads.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        failures: tuple[type[Exception], ...],
        told: Callable[[Exception], ServiceError],
    ) -> None:
        self._connect, self._failures, self._told = connect, failures, told
        self._lock = threading.Lock()
        self._connection: C | None = None
        self._log = Bounded(per_s=1)

    @contextmanager
    def use(self) -> Iterator[C]:
        """The connection; raises what `told` makes of its failures."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except self._failures as error:
                self._close()
                failure = self._told(error)
                self._log.log(logging.ERROR, f"{failure}: {one_line(str(error))}")
                raise failure from error
            except BaseException as error:
                self._close()
                if isinstance(error, StoreFailure):  # of another program's database, say
                    self._log.log(logging.ERROR, str(error))
                raise

    def close(self) -> None:
        """Closes it until it is used again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._failures):  # it is broken already
                connection.close()
