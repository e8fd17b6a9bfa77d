"""Coroutines that nobody awaited: seen when they are dropped, and found while they are kept.

A dropped one is reported by Python itself through ``warnings._warn_unawaited_coroutine``, the
hook of the C code: no filter stands before it. One in a cycle or in a global is not dropped, so
the youngest generation of the garbage collector is read at the end of each test, and whenever a
collection begins, before its survivors are moved to an older generation.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_proxmox.hygiene import expected
from pytest_proxmox.hygiene.places import ORIGIN_DEPTH, ORIGIN_LEAST, Frame

if TYPE_CHECKING:
    Coroutine = CoroutineType[Any, Any, Any]
else:  # not subscriptable before Python 3.13
    Coroutine = CoroutineType
Origin = tuple[Frame, ...]

OUTSIDE = 0  # no test's: made by a module, before the run, or in a run inside this one
WIDER = -1  # made by a fixture of more than function scope
HELD = -2  # the same, and that fixture was seen to hold it

# Ids of coroutines in their finaliser, whichever watch sees them. Python cleared their weak
# references before; one made meanwhile would outlive the object and point to freed memory.
_going: set[int] = set()


class Birth(NamedTuple):
    """A coroutine that was seen unstarted: the test that made it, and where."""

    ref: weakref.ref[Coroutine]
    origin: Origin | None
    test: int


class Dropped(NamedTuple):
    """A coroutine that went away unstarted.

    ``old`` says that the test made it before this phase: it is the test's own fault.
    """

    name: str
    origin: Origin | None
    old: bool


class CoroutineWatch:
    """Knows every coroutine that was made and not started, and the test it belongs to."""

    def __init__(self, is_allowed: Callable[[Dropped], bool], on_drop: Callable[[], None]) -> None:
        self._is_allowed = is_allowed
        self._tell = on_drop
        self._outer: CoroutineWatch | None = None
        self._births: dict[int, Birth] = {}
        self._blamed: set[int] = set()
        self._dropped: list[Dropped] = []
        self._recorder = expected.recorder()
        self._mark: list[object] = []
        self.test = self._owner = OUTSIDE

    def install(self) -> None:
        """Begin to watch; coroutines that exist already belong to no test."""
        self._before = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]
        outer = getattr(self._before, "__self__", None)
        self._depth = sys.get_coroutine_origin_tracking_depth()
        self._bootstrap = _bootstrap_of_threads()
        if self._depth:  # otherwise what exists is known by its missing origin
            self._note(gc.get_objects())
        if isinstance(outer, CoroutineWatch):  # a run inside a test of another run
            outer._look()
            self._outer, self._before = outer, outer._before
        warnings._warn_unawaited_coroutine = self._on_drop  # type: ignore[attr-defined]
        gc.callbacks.append(self._on_gc)
        _track_in_threads(self._bootstrap)

    def uninstall(self) -> None:
        """Stop watching; what is left here is none of an outer run's business.

        What was blamed is closed: Python would report it again as it ends.
        """
        for key in self._blamed & self._births.keys():
            if (found := self._births[key].ref()) is not None and is_unstarted(found):
                found.close()
        _untrack_in_threads(self._bootstrap)
        gc.callbacks.remove(self._on_gc)
        hook = self._before
        if self._outer is not None:
            hook = self._outer._on_drop
            self._outer._adopt()
        warnings._warn_unawaited_coroutine = hook  # type: ignore[attr-defined]
        sys.set_coroutine_origin_tracking_depth(self._depth)

    def begin(self, test: int) -> None:
        """Give what is made from now on to this test."""
        self._dropped.clear()
        self.test = self._owner = test
        self.skip()
        self._recorder = expected.recorder()
        self.expect_all()

    def skip(self) -> None:
        """Take what was made up to now as given: pytest made it, which keeps no coroutine."""
        self._mark = []

    def expect_little(self) -> None:
        """Keep fewer frames of what is made until the next test begins, or ``expect_all``.

        The frames of a test's end are pytest's, and finding the line of each takes time: a
        loop makes coroutines as it closes, in every async test.
        """
        sys.set_coroutine_origin_tracking_depth(ORIGIN_LEAST)

    def expect_all(self) -> None:
        """Keep all frames that may be wanted of what is made from now on."""
        sys.set_coroutine_origin_tracking_depth(ORIGIN_DEPTH)

    def expect_all_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep fewer frames until the loop runs, or ``expect_all`` is called.

        The test's own coroutine is the first that the loop gets, and its frames are pytest's.
        """
        self.expect_little()
        loop.call_soon(self.expect_all)

    def take_dropped(self) -> list[Dropped]:
        """Return what was dropped unawaited since the last call, oldest first."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def kept(self) -> list[Coroutine]:
        """Return the coroutines of this test, or of a wider fixture, that were not started."""
        self._look()
        if not self._births:
            return []
        alive = [(birth, birth.ref()) for birth in self._births.values()]
        return [
            found
            for birth, found in alive
            if found is not None
            and birth.test in (self.test, WIDER)
            and id(found) not in self._blamed
            and is_unstarted(found)
        ]

    def excuse(self, coroutines: Iterable[Coroutine]) -> None:
        """Do not ask again about what a wider fixture holds; it must be awaited all the same."""
        for found in coroutines:
            birth = self._births[id(found)]
            if birth.test == WIDER:
                self._births[id(found)] = Birth(birth.ref, birth.origin, HELD)

    def give_back(self, dropped: Iterable[Dropped]) -> None:
        """Keep these for the next phase, which they belong to."""
        self._dropped[:0] = dropped

    @contextmanager
    def outside(self, owner: int = WIDER) -> Iterator[None]:
        """Give what is made inside, and kept, to no test: it belongs to a wider fixture."""
        self._look()
        owner, self._owner = self._owner, owner
        try:
            yield
        finally:
            self._look()
            self._owner = owner

    def blame(self, coroutines: Iterable[Coroutine]) -> None:
        """Say no more about these: their test was told."""
        self._blamed.update(id(found) for found in coroutines)

    def end(self, *, looked: bool) -> None:
        """Let the test go, with what it made; ``looked`` says that this was asked for.

        What is gone is forgotten, so that ids can be used again.
        """
        if not looked:
            self._look()  # or the next test would seem to have made it
        if not self._births:
            return
        dead = [key for key, birth in self._births.items() if not _is_waiting(birth)]
        for key in dead:
            del self._births[key]
            self._blamed.discard(key)

    def _look(self) -> None:
        """Note what was made since the last look.

        The mark is put down before the objects are listed: what another thread makes meanwhile
        is met again by the next look. A collection takes the mark away, but looks first.
        """
        mark, self._mark = self._mark, []
        if found := _younger(mark):
            self._note(found)

    def _note(self, objects: Iterable[object]) -> None:
        """Remember what is unstarted and not known yet as made by the current test."""
        births = self._births
        for found in objects:
            if type(found) is CoroutineType and is_unstarted(found) and id(found) not in _going:
                known = births.get(id(found))
                if known is None or known.ref() is not found:
                    births[id(found)] = Birth(weakref.ref(found), found.cr_origin, self._owner)

    def _adopt(self) -> None:
        """Take over what an inner run left: it has been judged there."""
        with self.outside(OUTSIDE):
            self._births = {key: birth for key, birth in self._births.items() if birth.ref()}

    def _on_gc(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":  # its survivors leave the youngest generation
            self._look()

    def _on_drop(self, coroutine: Coroutine) -> None:
        """Called by Python in the finaliser: must neither keep the coroutine nor raise."""
        _going.add(id(coroutine))  # before anything that could begin a collection
        try:
            self._judge_dropped(coroutine)
        finally:
            _going.discard(id(coroutine))

    def _judge_dropped(self, coroutine: Coroutine) -> None:
        """Note it for its test, or leave it to the hook that was there before."""
        birth = self._birth_of(coroutine)
        if birth is not None and id(coroutine) in self._blamed:
            self._blamed.discard(id(coroutine))
            return
        name = coroutine.__qualname__
        old = birth is not None and birth.test == self.test
        dropped = Dropped(name, coroutine.cr_origin, old)
        is_older = dropped.origin is None  # than the run: its makers' origins were not noted
        outside = self.test == OUTSIDE or is_older or not self._is_ours(birth)
        if outside or expected.by_test(name, self._recorder) or self._is_allowed(dropped):
            self._before(coroutine)
            return
        self._dropped.append(dropped)
        self._tell()

    def _is_ours(self, birth: Birth | None) -> bool:
        """Whether the current test must answer for it: an earlier one did, or had a reason."""
        return birth is None or birth.test in (self.test, WIDER, HELD)

    def _birth_of(self, coroutine: Coroutine) -> Birth | None:
        """Its birth, if it was seen. The weak reference is dead by now, the origin is not."""
        birth = self._births.get(id(coroutine))
        if birth is None or birth.origin is not coroutine.cr_origin:
            return None
        return birth


def is_unstarted(coroutine: Coroutine) -> bool:
    """Return whether nobody has begun to run it, nor closed it."""
    return not (coroutine.cr_suspended or coroutine.cr_running or coroutine.cr_frame is None)


def works_here() -> bool:
    """Return whether this Python's collector shows a coroutine that was just made."""

    async def probe() -> None:
        """Never run."""

    older = probe()
    mark: list[object] = []
    younger = probe()
    try:
        found = _younger(mark)
        return any(one is younger for one in found) and all(one is not older for one in found)
    finally:
        older.close()
        younger.close()


def _younger(mark: list[object]) -> list[Coroutine]:
    """Return the coroutines of the youngest generation that were made after ``mark``.

    The collector lists a generation in the order of creation, so that the rest, which an
    earlier look has seen, costs nothing. Without the mark in it, all of it is younger.
    """
    coroutine = CoroutineType
    found: list[Coroutine] = []
    for one in reversed(gc.get_objects(0)):
        if type(one) is coroutine:
            found.append(one)
        elif one is mark:
            break
    return found


def _is_waiting(birth: Birth) -> bool:
    found = birth.ref()
    return found is not None and is_unstarted(found)


def _bootstrap_of_threads() -> Callable[[threading.Thread], None] | None:
    return getattr(threading.Thread, "_bootstrap_inner", None)


def _track_in_threads(bootstrap: Callable[[threading.Thread], None] | None) -> None:
    """Let each new thread note origins: the depth is a setting of the thread, not of Python."""
    if bootstrap is None:
        return

    def tracked(thread: threading.Thread) -> None:
        sys.set_coroutine_origin_tracking_depth(ORIGIN_DEPTH)
        bootstrap(thread)

    threading.Thread._bootstrap_inner = tracked  # type: ignore[attr-defined]


def _untrack_in_threads(bootstrap: Callable[[threading.Thread], None] | None) -> None:
    if bootstrap is not None:
        threading.Thread._bootstrap_inner = bootstrap  # type: ignore[attr-defined]
