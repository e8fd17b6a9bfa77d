"""What a failure is: an assertion, an error of the code, or the infrastructure giving way."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pytest_proxmox.errors import ApiFailure, TaskTimeout
from pytest_proxmox.flaky.fingerprint import fingerprint, last_lines, one_line
from pytest_proxmox.report.events import (
    ASSERTION,
    CRASH,
    EXCEPTION,
    INFRASTRUCTURE,
    TIMEOUT,
    Failure,
)

# Names, because the libraries need not be there; each is a class or one of its bases.
_CONNECTION_LOST = frozenset(
    {
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
        "requests.exceptions.ChunkedEncodingError",
        "urllib3.exceptions.HTTPError",
        "httpx.TransportError",
        "httpx2.TransportError",
        "aiohttp.client_exceptions.ClientConnectionError",
        "psycopg.errors.AdminShutdown",
        "sqlalchemy.exc.DisconnectionError",
    }
)
_PAGE_LOST = frozenset(
    {"PageClosedError", "TargetClosedError", "BrowserGoneError", "BrowserClosedError"}
)
_PAGE_TEXTS = re.compile(
    r"Target page, context or browser has been closed|Page crashed|Target crashed"
    r"|Browser has been closed|browser has disconnected|net::ERR_(?:CONNECTION|NETWORK|NAME)_"
)
_HARNESS_TIMEOUT = re.compile(r"^Timeout (?:\(>|>)\s*[\d.]+\s*s", re.IGNORECASE)
_PASSING = frozenset({"transient", "wait", "ambiguous"})


def judge(error: BaseException) -> str:
    """Return the kind of failure that an exception stands for.

    The exception itself decides, or what caused it (``raise ... from``). What was merely being
    handled does not: an assertion in an ``except`` block stays an assertion.
    """
    kinds = [_judge_one(one) for one in _causes(error)]
    if kinds[0] == ASSERTION:
        return ASSERTION
    passing = [kind for kind in kinds if is_infrastructure(kind)]
    return passing[0] if passing else kinds[0]


def is_infrastructure(kind: str) -> bool:
    """Whether a failure of this kind says nothing of the test, so that trying again is fair."""
    return kind in (INFRASTRUCTURE, TIMEOUT, CRASH)


def describe(error: BaseException, phase: str, *, place: str, secrets: Sequence[str]) -> Failure:
    """Return the failure that an exception in this phase is; ``place`` is where it rose."""
    name = type(error).__name__
    text = str(error)
    message = one_line(f"{name}: {text}" if text else name, secrets=secrets)
    return Failure(judge(error), fingerprint(name, text, place), message, phase)


def crashed(nodeid: str, text: str) -> Failure:
    """Return the failure of a test whose process died."""
    return Failure(CRASH, fingerprint("crash", "", nodeid), one_line(text), "call")


def from_text(text: str, phase: str) -> Failure:
    """Return the failure of a report that tells no more than a text, e.g. a strict xpass."""
    kind = ASSERTION if "XPASS(strict)" in text or text.startswith("assert") else EXCEPTION
    return Failure(kind, fingerprint("", text, ""), one_line(text), phase, last_lines(text))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__


def _judge_one(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):  # as bad as the worst of its members
        kinds = [judge(member) for member in error.exceptions]
        return next((kind for kind in kinds if not is_infrastructure(kind)), kinds[0])
    if isinstance(error, ApiFailure):
        return INFRASTRUCTURE if error.kind in _PASSING else EXCEPTION
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__}
    if {name.rpartition(".")[2] for name in names} & _PAGE_LOST:
        return INFRASTRUCTURE
    if isinstance(error, AssertionError):
        return ASSERTION
    if _is_harness_timeout(error):
        return TIMEOUT
    if isinstance(error, ConnectionError | TaskTimeout) or names & _CONNECTION_LOST:
        return INFRASTRUCTURE
    if "playwright._impl._errors.Error" in names and _PAGE_TEXTS.search(str(error)):
        return INFRASTRUCTURE
    return _judge_proxmox(error)


def _is_harness_timeout(error: BaseException) -> bool:
    """Whether pytest-timeout ended the test: it fails it with a text of its own."""
    failed = type(error).__module__ == "_pytest.outcomes" or type(error).__name__ == "Failed"
    return failed and _HARNESS_TIMEOUT.search(str(error)) is not None


def _judge_proxmox(error: BaseException) -> str:
    """Ask the one table of Proxmox's errors about an exception of its client."""
    if type(error).__module__.partition(".")[0] not in ("proxmoxer", "requests"):
        return EXCEPTION if not _is_pytest_fail(error) else ASSERTION
    if "proxmoxer" not in sys.modules:
        return EXCEPTION
    from pytest_proxmox.target import failures

    found: Any = failures.parse(error, write=True)
    return INFRASTRUCTURE if found is not None and found.kind in _PASSING else EXCEPTION


def _is_pytest_fail(error: BaseException) -> bool:
    return type(error).__name__ == "Failed"  # pytest.fail() is an assertion in other words
