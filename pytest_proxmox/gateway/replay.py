"""Replay: answers from a recording, to calls that are the same but for names drawn afresh.

Each run draws new lease ids and run ids, and may get other VMIDs; where a call differs from a
recorded one only in these, the pairs are remembered, and answers are given with the new names.
Answers come in the order in which they were recorded, test by test. A read that was made more
often than recorded gets its last answer again; a write that was not recorded is an error.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_proxmox.gateway.reach import Call
from pytest_proxmox.gateway.record import Exchange, Recorder, Recording
from pytest_proxmox.gateway.upstream import data_of
from pytest_proxmox.simulator import wire
from pytest_proxmox.simulator.wire import Answer, PveError, Request
from pytest_proxmox.target.redaction import Redaction
from pytest_proxmox.values import VmidRange

NOT_RECORDED: Final = 501
# What differs from run to run: ids of leases, runs and blocks, and numbers that may be VMIDs. Times
# differ too, and nothing of ours depends on them.
_NAME: Final = re.compile(
    r"n[0-9a-f]{12}|b\d{3,9}-\d{3,9}|(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])|(?<!\d)[1-9]\d{2,8}(?!\d)"
)
_TIME: Final = re.compile(r"expires=\d+|host=\S+")


class Names:
    """Pairs of names: as this run says, and as the recording does."""

    def __init__(self, *spans: VmidRange) -> None:
        self._spans = spans
        self._recorded: dict[str, str] = {}
        self._live: dict[str, str] = {}

    def _is_name(self, text: str) -> bool:
        return not text.isdigit() or any(int(text) in span for span in self._spans)

    def split(self, text: str) -> tuple[str, list[str]]:
        """Return a text with its names taken out, and the names."""
        found: list[str] = []

        def take(match: re.Match[str]) -> str:
            if not self._is_name(match[0]):
                return match[0]
            found.append(match[0])
            return "\0"

        return _NAME.sub(take, _TIME.sub("\1", text)), found

    def agree(self, live: list[str], recorded: list[str]) -> bool:
        """Whether two calls' names can be the same; if so they are from now on."""
        pairs = dict(zip(live, recorded, strict=True))
        backwards = dict(zip(recorded, live, strict=True))
        for ours, theirs in zip(live, recorded, strict=True):
            known = self._recorded.get(ours, theirs), self._live.get(theirs, ours)
            if known != (theirs, ours) or (pairs[ours], backwards[theirs]) != (theirs, ours):
                return False
        self._recorded |= pairs
        self._live |= backwards
        return True

    def to_live(self, text: str) -> str:
        """Return a recorded text in this run's names."""
        return _NAME.sub(lambda match: self._live.get(match[0], match[0]), text)


@dataclass
class _Part:
    """What one test exchanged, how far it has been replayed, and which answers were used."""

    exchanges: list[Exchange]
    next: int = 0
    used: set[int] = field(default_factory=set)


class Replay:
    """Answers as the recorded Proxmox did; an ``Upstream``. May be called by several threads."""

    def __init__(self, recording: Recording, recorder: Recorder, *, span: VmidRange) -> None:
        self._recorder = recorder
        self._redaction = Redaction()
        self._lock = threading.Lock()
        self._names = Names(span, VmidRange.parse(str(recording.head["span"])))
        self._parts: dict[str, _Part] = {}
        for exchange in recording.exchanges:
            self._parts.setdefault(exchange.test, _Part([])).exchanges.append(exchange)

    def __call__(self, request: Request, call: Call, *, door: str) -> Answer:
        """Return the recorded answer, 501 where there is none."""
        with self._lock:
            found = self._find(call)
            answer = self._answer(found) if found is not None else self._missing(call)
        self._recorder.add(
            Exchange(
                call.method,
                call.path,
                call.parameters,
                answer.status,
                answer.reason,
                data_of(answer),
                door=door,
                note="replayed" if found is not None else "not in the recording",
            )
        )
        return answer

    def _find(self, call: Call) -> Exchange | None:
        """The exchange that fits: of this test, else of no test, else of any other."""
        skeleton, names = self._names.split(self._text(call.method, call.path, call.parameters))
        test = self._recorder.test
        parts = [self._parts[one] for one in dict.fromkeys((test, "")) if one in self._parts]
        others = [part for name, part in self._parts.items() if name not in (test, "")]
        for part in (*parts, *others):
            found = self._find_in(part, skeleton, names, is_write=call.is_write)
            if found is not None:
                return found
        return None

    def _find_in(
        self, part: _Part, skeleton: str, names: list[str], *, is_write: bool
    ) -> Exchange | None:
        """The next one that fits. A read goes past no write that is still to come."""
        last = None
        for index, exchange in enumerate(part.exchanges):
            is_new = index not in part.used
            if not self._fits(exchange, skeleton, names):
                if last is not None and is_new and exchange.is_write and index >= part.next:
                    break
            elif is_new and (is_write or index >= part.next):
                part.used.add(index)
                part.next = max(part.next, index + 1) if is_write else part.next
                return exchange
            else:
                last = exchange
        return None if is_write else last

    def _fits(self, exchange: Exchange, skeleton: str, names: list[str]) -> bool:
        text = self._text(exchange.method, exchange.path, exchange.params)
        theirs, recorded = self._names.split(text)
        return theirs == skeleton and self._names.agree(names, recorded)

    def _text(self, method: str, path: str, params: Any) -> str:
        shown = self._redaction.data({name: str(value) for name, value in params.items()})
        return f"{method} {path} {json.dumps(shown, sort_keys=True)}"

    def _answer(self, exchange: Exchange) -> Answer:
        reason = self._names.to_live(exchange.reason)
        if isinstance(exchange.data, str):
            body, kind = exchange.data.encode(), "text/plain"
        elif exchange.data is None:
            body, kind = b"", "text/plain"
        else:
            body, kind = self._names.to_live(json.dumps(exchange.data)).encode(), wire.JSON_TYPE
        return Answer(exchange.status, reason, (("content-type", kind),), body)

    def _missing(self, call: Call) -> Answer:
        where = f" in {self._recorder.test}" if self._recorder.test else ""
        why = f"the recording has no answer to {call.method} {call.path}{where}: record it again"
        return wire.failure(PveError(NOT_RECORDED, why), extjs=False)
