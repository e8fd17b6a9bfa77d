"""Whether somebody else has committed on a PostgreSQL server, asked along with other statements."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from psycopg import pq

from pytest_proxmox.clock import Clock

Ask = Callable[[str], pq.abc.PGresult]


class Commit(enum.Enum):
    """Whether there is a commit that nobody knew of, and when it was."""

    NONE = "none"
    EARLIER = "before the running test"
    RECENT = "in the running test, as far as can be told"


class Watch(Protocol):
    """A question to the server that costs little, and what its answer means.

    It is prepared: planning it takes longer than running it.
    """

    dated: bool  # a test need not ask before it begins: dates tell

    def prepare(self) -> None:
        """Prepare the question, again after the code under test ran ``DEALLOCATE ALL``."""

    def look(self) -> str:
        """Return the question, to be sent with other statements or alone."""

    def found(self, answer: pq.abc.PGresult, began: float) -> Commit:
        """Return what has happened since the last answer; the test ``began`` at a clock's time."""

    def remember(self) -> None:
        """Take what has been committed so far for known."""


def choose(ask: Ask, clock: Clock) -> Watch:
    """Return the cheapest watch that the server allows."""
    dates = _text(ask("SHOW track_commit_timestamp")) == b"on"
    return Dates(ask, clock) if dates else Snapshots(ask, clock)


class Dates:
    """The server dates its commits: the last one tells."""

    dated = True

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._ahead = _seconds_ahead(ask, clock)
        self._last = b""
        self.prepare()

    def prepare(self) -> None:
        """Prepare the question for the last commit's transaction."""
        self._ask("DEALLOCATE ALL; PREPARE pp_look AS SELECT (pg_last_committed_xact()).xid")

    def look(self) -> str:
        """Return the question for the last commit's transaction."""
        return "EXECUTE pp_look"

    def found(self, answer: pq.abc.PGresult, began: float) -> Commit:
        """Return when the last commit was, where it is another one than before."""
        last = _text(answer)
        if last == self._last:
            return Commit.NONE
        self._last = last
        date = self._ask(f"SELECT extract(epoch FROM pg_xact_commit_timestamp('{last.decode()}'))")
        return Commit.EARLIER if float(_text(date)) < began + self._ahead else Commit.RECENT

    def remember(self) -> None:
        """Take the last commit for known."""
        self._last = _text(self._ask("SELECT (pg_last_committed_xact()).xid"))


def _seconds_ahead(ask: Ask, clock: Clock) -> float:
    """Return how far the server's clock is ahead of ours: 0 unless it cannot be the same one."""
    before = clock.now()
    server = float(_text(ask("SELECT extract(epoch FROM clock_timestamp())")))
    after = clock.now()
    return 0.0 if before <= server <= after else server - (before + after) / 2


# Nobody has committed while a snapshot of the running transactions stays the same, nor when no
# transaction from its oldest on is committed; where they are very many the answer is perhaps.
_LOOK = (
    "PREPARE pp_look(bigint) AS SELECT pg_current_snapshot()::text, {next} - $1 > 5000 OR EXISTS ("
    "SELECT FROM generate_series(greatest($1, {next} - 5000), {next} - 1) AS x "
    "WHERE pg_xact_status(x::text::xid8) = 'committed')"
).format(next="pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
# For certain: a transaction that the first snapshot did not see, and the second did.
_COMMITTED = (
    "SELECT EXISTS (SELECT FROM (SELECT pg_snapshot_xip('{0}') AS id UNION ALL SELECT "
    "generate_series(pg_snapshot_xmax('{0}')::text::bigint, pg_snapshot_xmax('{1}')::text::bigint "
    "- 1)::text::xid8) AS unseen "
    "WHERE pg_visible_in_snapshot(id, '{1}') AND pg_xact_status(id) = 'committed')"
)


class Snapshots:
    """Every server tells which transactions are running, and which of the last were committed."""

    dated = False

    def __init__(self, ask: Ask, _clock: Clock) -> None:
        self._ask = ask
        self._since = ""
        self.prepare()

    def prepare(self) -> None:
        """Prepare the question for a snapshot and the commits since the last."""
        self._ask(f"DEALLOCATE ALL; {_LOOK}")

    def look(self) -> str:
        """Return the question for a snapshot, and whether there may be commits since the last."""
        return f"EXECUTE pp_look({self._since.partition(':')[0]})"

    def found(self, answer: pq.abc.PGresult, began: float) -> Commit:
        """Return whether there was a commit since the last answer, whenever that was."""
        then, self._since = self._since, _text(answer).decode()
        if self._since == then or answer.get_value(0, 1) == b"f":
            return Commit.NONE
        certain = self._ask(_COMMITTED.format(then, self._since))
        return Commit.RECENT if _text(certain) == b"t" else Commit.NONE

    def remember(self) -> None:
        """Take all commits so far for known."""
        self._since = _text(self._ask("SELECT pg_current_snapshot()")).decode()


def _text(answer: pq.abc.PGresult) -> bytes:
    return answer.get_value(0, 0) or b""
