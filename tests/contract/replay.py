"""Replays recorded exchanges on a simulator and says where its answers differ.

Works as the tool that came with the recordings does: fields that change from run to run must be
there with the same type, all others must be equal; lists are compared without order; ids that
the server gives (UPIDs, tickets, backup names) are translated on the way.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_proxmox.target.likeness import STAMP, UPID, Heard, unlikeness

GOLDEN = Path(__file__).with_name("golden")
PASSWORDS = {"root@pam": "proxmox123"}
OTHER_PASSWORD = "secret123"
Send = Callable[[str, str, Mapping[str, str], bytes | None], Heard]


@dataclass(frozen=True)
class Difference:
    """Where an answer is not the recorded one; ``depth`` is status, reason or body."""

    seq: int
    name: str
    depth: str
    what: str


@dataclass
class Names:
    """Recorded ids -> the ones this server gave."""

    tables: dict[str, dict[str, str]] = field(
        default_factory=lambda: {"upid": {}, "stamp": {}, "digest": {}, "secret": {}}
    )

    def translate(self, text: str) -> str:
        for table in self.tables.values():
            for old, new in table.items():
                text = text.replace(old, new)
                text = text.replace(_quoted(old), _quoted(new))
        return text

    def learn(self, recorded: Any, got: Any) -> None:
        before, after = (json.dumps(x, sort_keys=True) for x in (recorded, got))
        for kind, pattern in (("upid", UPID), ("stamp", STAMP)):
            table = self.tables[kind]
            old = list(dict.fromkeys(pattern.findall(before)))
            new = list(dict.fromkeys(pattern.findall(after)))
            if kind == "upid":
                old = [x for x in old if x not in table]
                new = [x for x in new if x not in table.values()]
            if len(old) == len(new):
                for x, y in zip(old, new, strict=True):
                    table.setdefault(x, y)
        x, y = (part.get("data") if isinstance(part, dict) else None for part in (recorded, got))
        if isinstance(x, dict) and isinstance(y, dict):
            self._learn_values(x, y)

    def _learn_values(self, recorded: dict[str, Any], got: dict[str, Any]) -> None:
        if "digest" in recorded and "digest" in got:
            self.tables["digest"][recorded["digest"]] = str(got["digest"])
        for key in ("ticket", "CSRFPreventionToken", "value"):
            if len(str(recorded.get(key) or "")) > 20 and got.get(key):
                self.tables["secret"][str(recorded[key])] = str(got[key])


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def exchanges(name: str) -> list[dict[str, Any]]:
    """Return the recorded exchanges of one file."""
    lines = (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


class Replay:
    """One recording on one server."""

    def __init__(self, name: str, send: Send) -> None:
        self._send = send
        self._names = Names()
        self._tickets: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, str] = {}
        self._lines = exchanges(name)
        self._setup = (
            exchanges(f"{name}.setup") if (GOLDEN / f"{name}.setup.jsonl").exists() else []
        )
        self._text = [json.dumps(line) for line in self._lines]
        self._vmids = _touched(self._lines)
        self.scored = 0

    def run(self) -> Iterator[Difference]:
        """Yield every difference; ``scored`` counts the exchanges that were compared."""
        for line in self._setup:
            self._call(line, {})
        for position, line in enumerate(self._lines):
            heard = self._exchange(position, line)
            if line.get("repeatable") is False:
                continue
            self.scored += 1
            found = self._compare(line, heard)
            if found is not None:
                yield Difference(line["seq"], line["name"], *found)

    def _exchange(self, position: int, line: Mapping[str, Any]) -> Heard:
        heard = self._call(line, self._headers(line))
        self._names.learn(line["body"], heard.body)
        recorded = line["body"].get("data") if isinstance(line["body"], dict) else None
        got = heard.body.get("data") if isinstance(heard.body, dict) else None
        if isinstance(recorded, str) and recorded.startswith("UPID:") and isinstance(got, str):
            later = self._text[position + 1 :]
            if not any(recorded in t or _quoted(recorded) in t for t in later):
                self._wait(got)  # the recording waited for this task without recording it
        made = line["method"] == "POST" and "/token/" in line["path"]
        if made and isinstance(got, dict) and got.get("full-tokenid"):
            self._tokens[got["full-tokenid"]] = got.get("value", "")
        return heard

    def _compare(self, line: Mapping[str, Any], heard: Heard) -> tuple[str, str] | None:
        wanted = Heard(line["status"], line["reason"] or "", line["body"])
        found = unlikeness(wanted, heard, self._vmids)
        if not (line["path"].endswith("/log") or line["name"].endswith(" log")):
            return found
        if found is not None and found[0] != "body":
            return found
        data = heard.body.get("data") if isinstance(heard.body, dict) else None
        return None if isinstance(data, list) else ("body", "log is not a list")

    # --- requests ---------------------------------------------------------------------------

    def _headers(self, line: Mapping[str, Any]) -> dict[str, str]:
        headers = self._login(line["auth"], line["method"])
        if line.get("csrf") is False:
            headers.pop("csrfpreventiontoken", None)
        if line.get("ticket") == "corrupt":
            headers["cookie"] = headers["cookie"][:-6] + "AAAAAA"
        if line.get("ticket") == "garbage":
            headers["cookie"] = "PVEAuthCookie=PVE:root@pam:00000001::AAAA"
        if (line.get("request_body") or "").startswith("{"):
            headers["content-type"] = "application/json"
        more = line.get("headers") or {}
        headers.update({k.lower(): self._names.translate(v) for k, v in more.items()})
        return headers

    def _login(self, auth: str | None, method: str) -> dict[str, str]:
        if not auth:
            return {}
        kind, who = auth.split(" ", 1)
        if kind == "token":
            return {"authorization": f"PVEAPIToken={who}={self._tokens.get(who, 'unknown')}"}
        if who not in self._tickets:
            given = {"username": who, "password": PASSWORDS.get(who, OTHER_PASSWORD)}
            heard = self._request("POST", "/access/ticket", given, {})
            self._tickets[who] = (heard.body or {}).get("data") or {}
        ticket = self._tickets[who]
        headers = {"cookie": "PVEAuthCookie=" + ticket.get("ticket", "none")}
        if method not in ("GET", "HEAD"):
            headers["csrfpreventiontoken"] = ticket.get("CSRFPreventionToken", "none")
        return headers

    def _call(self, line: Mapping[str, Any], headers: dict[str, str]) -> Heard:
        headers = headers or self._login(line["auth"], line["method"])
        params = line["params"] and {
            key: self._names.translate(value) if isinstance(value, str) else value
            for key, value in line["params"].items()
        }
        prefix = line.get("prefix", "/api2/json")
        body = line.get("request_body")
        path = self._names.translate(line["path"])
        return self._request(line["method"], path, params, headers, body=body, prefix=prefix)

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        headers: dict[str, str],
        *,
        body: str | None = None,
        prefix: str = "/api2/json",
    ) -> Heard:
        target, data = prefix + path, body.encode() if body is not None else None
        if params is not None and body is None:
            query = urllib.parse.urlencode(params, doseq=True)
            if method in ("GET", "DELETE", "HEAD"):
                target += "?" + query if query else ""
            else:
                data = query.encode()
                headers.setdefault("content-type", "application/x-www-form-urlencoded")
        return self._send(method, target, headers, data)

    def _wait(self, upid: str) -> None:
        path = f"/nodes/{upid.split(':')[1]}/tasks/{_quoted(upid)}/status"
        for _ in range(100):
            heard = self._request("GET", path, None, self._login("ticket root@pam", "GET"))
            if heard.status != 200 or heard.body["data"]["status"] == "stopped":
                return
        raise TimeoutError(upid)


def _touched(lines: list[dict[str, Any]]) -> set[str]:
    found: set[str] = set()
    for line in lines:
        found.update(re.findall(r"/(?:lxc|qemu)/(\d+)", line["path"]))
        for key in ("vmid", "newid"):
            if (line["params"] or {}).get(key) is not None:
                found.add(str(line["params"][key]))
    return found
