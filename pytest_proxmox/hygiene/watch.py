"""What every watch can do, and whose doing a creation is: the test's, or somebody else's."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from pytest_proxmox.hygiene.coroutines import OUTSIDE
from pytest_proxmox.hygiene.offences import Offence


class Watch(Protocol):
    """Looks at one kind of thing that a test may leave behind.

    ``sets_back`` says that asking for its offences undoes them.
    """

    sets_back: bool

    @property
    def stirred(self) -> bool:
        """Whether something may have happened since ``begin``; otherwise ask nothing else."""

    def install(self) -> None:
        """Begin to watch: from now on creations are noted."""

    def uninstall(self) -> None:
        """Stop watching and take away what ``install`` put in place."""

    def begin(self, test: int) -> None:
        """Take what is there as given: a test begins."""

    def outside(self) -> AbstractContextManager[None]:
        """Return a context in which what is made belongs to no test."""

    def suspects(self) -> bool:
        """Return whether the test has made something that is still there. Cheap."""

    def offences(self) -> Sequence[Offence]:
        """Return what is left now that the test's own fixtures are gone."""


class Makers:
    """Tells whose code is running: the test number of the caller, or OUTSIDE.

    A thread works for the test that started it, whatever test runs by now; one that was
    there before, or that a wider fixture started, for none.
    """

    def __init__(self) -> None:
        self.current = OUTSIDE
        self._home = threading.get_ident()
        self._threads: weakref.WeakKeyDictionary[threading.Thread, int] = (
            weakref.WeakKeyDictionary()
        )

    def of_caller(self) -> int:
        """Return the test that the running thread works for."""
        ident = threading.get_ident()
        if ident == self._home:
            return self.current
        thread = threading._active.get(ident)  # type: ignore[attr-defined]
        return OUTSIDE if thread is None else self._threads.get(thread, OUTSIDE)

    @contextmanager
    def nobody(self) -> Iterator[None]:
        """Return a context in which what is made belongs to no test."""
        owner, self.current = self.current, OUTSIDE
        try:
            yield
        finally:
            self.current = owner

    def note(self, thread: threading.Thread, test: int) -> None:
        """Let a thread that is about to start work for ``test``."""
        self._threads[thread] = test
