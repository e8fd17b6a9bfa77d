"""The wire: what the stack of savepoints says to the database, and what it refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.database.wire import PATIENCE_S, Entry, Wire, actor
from pytest_proxmox.errors import EscapedCommit, IsolationError, SessionsEntangled


class FakeReal:
    """A connection that notes what it is told, and knows whether a transaction is open."""

    eager = False

    def __init__(self) -> None:
        self.said: list[str] = []
        self.open = False
        self.broken = False

    def control(self, *statements: str) -> None:
        """Note the statements."""
        self.said += statements
        for statement in statements:
            if statement in ("BEGIN", "COMMIT", "ROLLBACK"):
                self.open = statement == "BEGIN"

    def start(self, *statements: str) -> None:
        """Note them, and that somebody looked."""
        self.control(*statements)
        self.said.append("look")

    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.open

    def abandon(self, savepoint: str, *, whole: bool) -> None:
        """Note it."""
        if self.broken:
            raise OSError(f"no such savepoint: {savepoint}")
        self.said.append(f"abandon {savepoint}{' and all' if whole else ''}")
        self.open = self.open and not whole

    def close(self) -> None:
        """Do nothing."""

    def told(self) -> list[str]:
        """What was said since the last time."""
        said, self.said = self.said, []
        return said


class FakeOwner:
    """A session's end of the wire."""

    def __init__(self, *, front: bool = False) -> None:
        self.front = front
        self.stale = ""


@pytest.fixture
def real() -> FakeReal:
    """The one connection."""
    return FakeReal()


@pytest.fixture
def bare(real: FakeReal) -> Iterator[Wire]:
    """A wire between tests, with its lock held as its callers do."""
    wire = Wire(real)
    with wire.lock:
        yield wire


@pytest.fixture
def wire(bare: Wire) -> Wire:
    """A wire in a test that will be undone."""
    bare.begin_test("a test", outer=True)
    return bare


A, B = FakeOwner(), FakeOwner()


@pytest.fixture(autouse=True)
def nobody_is_stale() -> None:
    """The two owners are every test's, as they are when they are made."""
    for owner in (A, B):
        owner.front, owner.stale = False, ""


def write(wire: Wire, owner: FakeOwner) -> Entry:
    """Begin a transaction and write in it."""
    entry = wire.open(owner)
    wire.wrote(owner)
    return entry


# Tests ----------------------------------------------------------------------------------------


def test_the_first_transaction_of_a_test_begins_the_outer_one(wire: Wire, real: FakeReal) -> None:
    wire.open(A)
    assert real.told() == ["BEGIN", "SAVEPOINT pp_outer", "SAVEPOINT pp_1"]
    wire.open(B)
    assert real.told() == ["SAVEPOINT pp_2"]


def test_a_commit_is_undone_with_its_test(wire: Wire, real: FakeReal) -> None:
    wire.release([write(wire, A)])
    assert real.told()[3:] == ["RELEASE pp_1"]

    wire.end_test()

    assert real.told() == ["abandon pp_outer and all"]
    assert (A.stale, wire.test, wire.outer, wire.stack) == ("", "", False, [])


def test_a_test_that_did_nothing_undoes_nothing(wire: Wire, real: FakeReal) -> None:
    wire.end_test()

    assert real.told() == []


def test_what_a_test_left_open_is_stale_under_its_name(wire: Wire) -> None:
    left, ended = FakeOwner(), FakeOwner()
    below = write(wire, ended)
    wire.open(left)
    wire.release([below])

    wire.end_test()

    assert (left.stale, ended.stale) == ("a test", "")
    assert wire.stack == []


def test_what_was_open_before_a_test_is_as_before(bare: Wire, real: FakeReal) -> None:
    wire = bare
    owner = FakeOwner()
    before = wire.open(owner)
    real.told()
    wire.begin_test("a test", outer=True)
    inner = write(wire, FakeOwner())
    wire.wrote(owner)
    wire.release([before, inner])
    assert real.told() == ["SAVEPOINT pp_outer", "SAVEPOINT pp_2", "RELEASE pp_2"]

    wire.end_test()

    assert real.told() == ["abandon pp_outer"]
    assert wire.stack == [before]
    assert (before.released, before.own, before.others, owner.stale) == (False, False, [], "")
    wire.release([before])
    assert real.told() == ["RELEASE pp_1", "COMMIT"]


def test_without_the_outer_transaction_a_commit_is_one(bare: Wire, real: FakeReal) -> None:
    wire = bare
    wire.begin_test("a test", outer=False)

    wire.release([write(wire, A)])

    assert real.told() == ["BEGIN", "SAVEPOINT pp_1", "RELEASE pp_1", "COMMIT"]
    wire.end_test()
    assert real.told() == []
    wire.begin_test("a test", outer=False)
    wire.open(A)
    real.told()
    wire.end_test()
    assert real.told() == ["ROLLBACK"]


ENDED = (
    "the outer transaction of a test was ended behind our back: what the test wrote may be in the "
    "database. Look for a statement that ends transactions itself (ON CONFLICT ROLLBACK, a driver "
    "call on the real connection), or mark the test @pytest.mark.db(transaction=False)"
)


@pytest.mark.parametrize("open_", [False, True], ids=["no transaction", "no savepoint"])
def test_an_outer_transaction_that_is_gone_is_an_error(
    wire: Wire, real: FakeReal, open_: bool
) -> None:
    wire.open(A)
    real.told()
    real.open, real.broken = open_, True

    with pytest.raises(IsolationError) as caught:
        wire.end_test()

    assert str(caught.value) == ENDED
    assert isinstance(caught.value.__cause__, OSError) is open_
    assert real.told() == (["ROLLBACK"] if open_ else [])
    wire.begin_test("the next", outer=True)
    wire.open(A)
    assert real.told() == ["BEGIN", "SAVEPOINT pp_outer", "SAVEPOINT pp_2"]


def test_what_waits_for_the_first_statement_comes_once_along_with_it(
    wire: Wire, real: FakeReal
) -> None:
    looked: list[int] = []
    wire.after_start = lambda: looked.append(len(wire.stack))

    wire.open(A)
    wire.open(A)

    assert looked == [1]
    assert real.told() == [
        *("BEGIN", "SAVEPOINT pp_outer", "SAVEPOINT pp_1", "look", "SAVEPOINT pp_2")
    ]


def test_a_thread_that_outlives_its_test_begins_nothing(wire: Wire, real: FakeReal) -> None:
    wire.end_test()
    wire.open(A)  # the test's own thread may: a fixture of the session does
    raised: list[BaseException] = []

    def late() -> None:
        with pytest.raises(EscapedCommit) as caught:
            wire.open(B)
        raised.append(caught.value)

    thread = threading.Thread(target=late)
    thread.start()
    thread.join()

    assert str(raised[0]).startswith("a transaction is begun in a thread while no test runs, by ")
    assert str(raised[0]).endswith(
        ". What it writes would stay in the database of all following tests. End the thread before "
        "its test ends"
    )
    assert len(wire.stack) == 1


# Commits and rollbacks ------------------------------------------------------------------------


def test_a_commit_below_an_open_transaction_waits_for_it(wire: Wire, real: FakeReal) -> None:
    older, younger = write(wire, A), wire.open(B)
    real.told()

    wire.release([older])
    assert (real.told(), wire.stack) == ([], [older, younger])
    assert wire.entries(A) == []
    wire.release([younger])

    assert (real.told(), wire.stack) == (["RELEASE pp_1"], [])


def test_a_commit_tells_those_who_wait(real: FakeReal) -> None:
    wire = Wire(real)
    entry = write(wire, A)
    waiting = threading.Event()
    seen: list[bool] = []

    def wait() -> None:
        with wire.lock:
            waiting.set()
            seen.append(wire.freed.wait(30))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(30)
    with wire.lock:
        wire.release([entry])
    thread.join(30)

    assert seen == [True]


def test_a_rollback_lets_its_savepoint_go(wire: Wire, real: FakeReal) -> None:
    entry = write(wire, A)
    real.told()

    wire.undo([entry])

    assert real.told() == ["ROLLBACK TO pp_1", "RELEASE pp_1"]
    assert wire.stack == []


def test_a_rollback_of_nothing_says_nothing(wire: Wire, real: FakeReal) -> None:
    wire.undo([])

    assert real.told() == []


def test_a_rollback_to_a_savepoint_keeps_it(wire: Wire, real: FakeReal) -> None:
    first, inner = write(wire, A), wire.open(A, "mine")
    wire.wrote(A)
    real.told()

    wire.undo([inner], keep_first=True)

    assert real.told() == ["ROLLBACK TO pp_2"]
    assert wire.stack == [first, inner]
    assert (first.own, inner.own, inner.others) == (True, False, [])


def test_a_rollback_below_a_reader_makes_its_savepoint_anew(wire: Wire, real: FakeReal) -> None:
    older, reader = write(wire, A), wire.open(B)
    reader.others.clear()
    real.told()

    wire.undo([older])

    assert real.told() == ["ROLLBACK TO pp_1", "RELEASE pp_1", "SAVEPOINT pp_2"]
    assert wire.stack == [reader]


def test_a_rollback_that_would_take_a_younger_write_along_is_refused(
    wire: Wire, real: FakeReal
) -> None:
    older, younger = write(wire, A), write(wire, B)
    older.place, younger.place = "a.py:1", "b.py:2"
    real.told()

    with pytest.raises(SessionsEntangled) as caught:
        wire.undo([older])

    assert str(caught.value) == (
        "the rollback of the transaction begun by a.py:1 would also undo what was written in the "
        "transaction begun by b.py:2: both are savepoints on the one connection of the test. End "
        "the younger session first, or mark the test @pytest.mark.db(transaction=False) so that "
        "each session has its own connection"
    )
    assert (real.told(), wire.stack) == ([], [older, younger])


def test_a_rollback_that_would_take_a_younger_commit_along_is_refused(wire: Wire) -> None:
    older, younger = write(wire, A), write(wire, B)
    wire.release([younger])
    assert older.others == [younger]

    with pytest.raises(SessionsEntangled):
        wire.undo([older])


def test_a_rollback_of_a_reader_below_a_writer_loses_nothing(wire: Wire, real: FakeReal) -> None:
    reader, writer = wire.open(A), write(wire, B)
    real.told()

    wire.undo([reader])

    assert (real.told(), wire.stack) == ([], [reader, writer])
    assert reader.released
    wire.release([writer])
    assert real.told() == ["RELEASE pp_1"]


def test_a_reader_that_keeps_its_savepoint_still_has_it(wire: Wire) -> None:
    first, inner = wire.open(A), wire.open(A, "mine")
    write(wire, B)

    wire.undo([first, inner], keep_first=True)

    assert (first.released, inner.released) == (False, True)


def test_a_write_lies_in_the_savepoints_above_it(wire: Wire) -> None:
    older, younger, youngest = wire.open(A), wire.open(B), wire.open(FakeOwner())

    wire.wrote(A)
    wire.wrote(A)

    assert (older.own, younger.own, youngest.own) == (True, False, False)
    assert younger.others == youngest.others == [older]


def test_a_released_inner_savepoint_is_the_transactions_own_write(wire: Wire) -> None:
    outer, inner = wire.open(A), wire.open(A, "mine")
    wire.wrote(A)

    wire.release([inner])

    assert (outer.own, outer.others, wire.stack) == (True, [], [outer])


def test_a_committed_transaction_is_not_a_later_ones_of_the_same_session(wire: Wire) -> None:
    other = wire.open(B)
    first = write(wire, A)
    wire.release([first])
    assert other.others == [first]
    second = write(wire, A)
    wire.release([second])

    assert (other.own, other.others) == (False, [first, second])


def test_whether_an_error_would_take_others_work_along(wire: Wire) -> None:
    mine = wire.open(A)
    assert not wire.exposed(A)
    assert wire.exposed(B)
    younger = wire.open(B)
    assert wire.exposed(A)
    wire.wrote(A)
    assert wire.exposed(B)  # what A wrote lies in B's savepoint
    younger.others.clear()
    assert not wire.exposed(B)
    younger.released = True
    assert wire.exposed(B)
    assert mine.own


def test_what_a_session_left_open_belongs_to_nobody(wire: Wire) -> None:
    entry, other = wire.open(A), wire.open(B)

    wire.orphan(A)
    wire.orphan(FakeOwner())

    assert entry.owner is not A
    assert (entry.owner.front, entry.owner.stale) == (True, "")
    assert other.owner is B


# Waiting --------------------------------------------------------------------------------------

ELSEWHERE = (-1, None)


def test_a_write_waits_for_transactions_of_other_threads_above_its_own(wire: Wire) -> None:
    below = wire.open(FakeOwner())
    below.actor = ELSEWHERE
    mine = wire.open(A)
    above = wire.open(B)
    above.actor = ELSEWHERE

    assert wire.in_the_way(A, opens=False) == [above]
    assert wire.in_the_way(A, opens=True) == [above, below]
    above.released = True
    assert wire.in_the_way(A, opens=False) == []
    assert mine.actor == actor()


def test_nobody_waits_on_an_empty_stack(wire: Wire) -> None:
    assert wire.in_the_way(A, opens=True) == []


def test_nobody_waits_for_himself(wire: Wire) -> None:
    wire.open(B)

    assert wire.in_the_way(A, opens=True) == []


class FakeTask:
    """A task of a loop that runs ``code``."""

    def __init__(self, code: Any) -> None:
        self.code = code

    def get_coro(self) -> Any:
        """Return its coroutine."""

        class Coroutine:
            cr_code = self.code

        return Coroutine()


CODE = test_nobody_waits_for_himself.__code__
OTHER_CODE = test_nobody_waits_on_an_empty_stack.__code__


@pytest.mark.parametrize(
    ("thread_is_ours", "front", "task", "is_front"),
    [
        (True, False, None, True),
        (False, True, None, False),
        (True, True, FakeTask(OTHER_CODE), True),
        (True, False, FakeTask(OTHER_CODE), False),
        (True, False, FakeTask(CODE), True),
        (True, False, FakeTask(None), False),
    ],
    ids=["our thread", "another thread", "own session", "a task", "the test's task", "no code"],
)
def test_nobody_waits_for_the_tests_own(
    real: FakeReal, thread_is_ours: bool, front: bool, task: Any, is_front: bool
) -> None:
    wire = Wire(real)
    wire.begin_test("a test", outer=True, code=CODE)
    entry = wire.open(FakeOwner(front=front))
    entry.actor = (threading.get_ident() if thread_is_ours else -1, task)

    assert wire.is_front(entry) is is_front


def entry_of(thread: int) -> Entry:
    """An open savepoint of a thread."""
    return Entry(A, "pp_9", None, (thread, None), "x.py:1")


class Running(ManualClock):
    """A clock on which each look takes a second."""

    def monotonic(self) -> float:
        """Return the time, and let a second go by."""
        self.advance(1.0)
        return super().monotonic()


def test_waiting_ends_when_the_way_is_free(real: FakeReal) -> None:
    wire = Wire(real, clock=Running())
    asked: list[int] = []

    def blocked() -> list[Entry]:
        asked.append(1)
        wire.freed.notify_all()
        return [] if len(asked) > 2 else [entry_of(-1)]

    with wire.lock:
        done = threading.Thread(target=lambda: _notify(wire, asked))
        done.start()
        wire.wait(blocked)
    done.join(30)

    assert len(asked) == 3


def _notify(wire: Wire, asked: list[int]) -> None:
    while len(asked) < 3:
        with wire.lock:
            wire.freed.notify_all()


def test_waiting_ends_with_our_patience(real: FakeReal) -> None:
    clock = Running()
    wire = Wire(real, clock=clock)
    clock.advance(PATIENCE_S)
    looks: list[float] = []

    class Freed:
        def wait(self, left: float) -> bool:
            looks.append(left)
            return True

    wire.freed = Freed()  # type: ignore[assignment]
    wire.wait(lambda: [entry_of(-1)])

    assert looks == [4.0, 3.0, 2.0, 1.0]


def test_waiting_ends_when_nobody_says_anything(real: FakeReal) -> None:
    wire = Wire(real, clock=Running())
    looks: list[float] = []

    class Freed:
        def wait(self, left: float) -> bool:
            looks.append(left)
            return False

    wire.freed = Freed()  # type: ignore[assignment]
    wire.wait(lambda: [entry_of(-1)])

    assert looks == [4.0]


@pytest.mark.parametrize(
    "blocked",
    [list, lambda: [entry_of(threading.get_ident())]],
    ids=["nobody", "our own thread"],
)
def test_nothing_is_waited_for_without_another_thread(
    real: FakeReal, blocked: Callable[[], list[Entry]]
) -> None:
    wire = Wire(real, clock=Running())
    wire.freed = None  # type: ignore[assignment]

    wire.wait(blocked)

    assert wire.stack == []
