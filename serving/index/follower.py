"""Keeps what is searched in step with the store, whoever writes there. Knows no database."""

import logging
import threading

from serving.errors import StoreFailure
from serving.index.items import Item
from serving.index.live import LiveIndex
from serving.index.store import KEPT_CHANGES, Changes, Store
from serving.logs import Bounded

PAGE = 256
"""Changes that are applied at once: searches wait for them, a millisecond."""
POLL_S = 0.25
"""Seconds after which the store is asked even if it has not told of a change."""


class Follower:
    """Applies the store's changes to a LiveIndex in their order, on a thread of its own and whenever it is told to."""

    def __init__(self, store: Store, live: LiveIndex) -> None:
        self._store, self._live = store, live
        self._lock = threading.Lock()  # of all that follows
        self.sequence = 0
        """Of the last change that was applied."""
        self._safe: int | None = None  # every item here was read after this change
        self._name = ""  # of the store that told them
        self._unseen: frozenset[str] = frozenset()  # items that must prove to be still there
        self.current = False
        """Whether all changes of the last look were applied; False from a failure until the store is back."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._failures = Bounded(per_s=1)

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; the store stays open."""
        self._stopped.set()
        self._store.wake()
        if self._thread.is_alive():
            self._thread.join()

    def catch_up(self) -> None:
        """Applies all changes that are committed now; raises StoreFailure."""
        with self._lock:
            try:
                while self._apply_page():
                    pass
            except BaseException:
                self.current = False
                raise
            self.current = True

    def _apply_page(self) -> bool:
        """Whether there may be more."""
        changes = self._store.changes_since(self.sequence, PAGE)
        lost, self._name = self._lost_track(changes), changes.store
        if lost:
            self.sequence, self._safe, self._unseen = 0, None, self._live.items
            return True
        if self._safe is None:
            self._safe = changes.latest
        if changes.each:
            self._live.apply(changes.each)
            self.sequence = changes.each[-1].sequence
        if self._unseen:
            self._unseen -= {one.id for one in changes.each if isinstance(one, Item)}
        more = len(changes.each) == PAGE
        if not more and self._unseen:
            self._live.forget(self._unseen)
            self._unseen = frozenset()
        return more

    def _lost_track(self, changes: Changes) -> bool:
        """Whether tombstones may be missing, or it is another store: then everything must be read again."""
        if self._safe is None:
            return False
        if changes.store != self._name:
            return True
        latest = changes.latest
        return latest < self.sequence or latest - KEPT_CHANGES > max(self.sequence, self._safe)

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self.catch_up()
                self._store.wait(POLL_S)
            except Exception as error:  # whatever it is: who stops following answers what was true once
                if not isinstance(error, StoreFailure):  # the store has logged those
                    self._failures.log(logging.ERROR, "the index could not follow its store", error=error)
                self._stopped.wait(POLL_S)
