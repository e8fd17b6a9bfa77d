"""The recorded exchanges as calls of methods: template, verb, parameters, and what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pytest_proxmox.simulator.schema import Method, load

GOLDEN = Path(__file__).parents[3] / "contract" / "golden"


@dataclass(frozen=True)
class Call:
    """One recorded call; ``errors`` are those of its 400, none where it was another answer."""

    where: str
    method: Method
    path: dict[str, str]
    params: dict[str, Any]
    status: int
    reason: str
    errors: dict[str, str]
    data: Any


@cache
def calls() -> tuple[Call, ...]:
    """Return every recorded call of a method below ``/api2/json``."""
    files = sorted(GOLDEN.glob("[0-9]*.jsonl"))
    exchanges = ((file.stem, json.loads(line)) for file in files for line in lines(file))
    found = (call(stem, one) for stem, one in exchanges if "status" in one and "prefix" not in one)
    return tuple(one for one in found if one is not None)


def lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def call(stem: str, exchange: dict[str, Any]) -> Call | None:
    """Return the exchange as a call, None where it is none: unknown paths, broken JSON."""
    url = urlsplit(exchange["path"])
    matched = route(url.path)
    params = params_of(exchange)
    if matched is None or params is None:
        return None
    template, path = matched
    method = load().method(template, exchange["method"])
    if method is None:
        return None
    body = exchange["body"] if isinstance(exchange.get("body"), dict) else {}
    return Call(
        f"{stem} seq {exchange['seq']}: {exchange['name']}",
        method,
        path,
        {**params, **dict(parse_qsl(url.query, keep_blank_values=True))},
        exchange["status"],
        exchange["reason"],
        (body.get("errors") or {}) if exchange["status"] == 400 else {},
        body.get("data"),
    )


def params_of(exchange: dict[str, Any]) -> dict[str, Any] | None:
    if "request_body" not in exchange:  # sent as a form: everything is text
        return {name: str(value) for name, value in (exchange.get("params") or {}).items()}
    try:
        return dict(json.loads(exchange["request_body"]))
    except ValueError:
        return None


def route(path: str) -> tuple[str, dict[str, str]] | None:
    """Return the template of ``path`` with the fewest placeholders, and their values."""
    segments = path.strip("/").split("/")
    for template, parts in by_placeholders():
        if len(parts) == len(segments) and all(
            map(lambda part, segment: part.startswith("{") or part == segment, parts, segments)
        ):
            pairs = zip(parts, segments, strict=True)
            return template, {p[1:-1]: unquote(s) for p, s in pairs if p.startswith("{")}
    return None


@cache
def by_placeholders() -> list[tuple[str, list[str]]]:
    ordered = sorted(load().templates(), key=lambda template: template.count("{"))
    return [(template, template.strip("/").split("/")) for template in ordered]


def property_texts() -> Iterator[tuple[str, str, str]]:
    """Yield field, text and kind of each property string in a recorded configuration."""
    for one in calls():
        kind = re.fullmatch(r"/nodes/\{node\}/(lxc|qemu)/\{vmid\}/config", one.method.path)
        if kind and one.method.verb == "GET" and isinstance(one.data, dict):
            for name, value in one.data.items():
                if isinstance(value, str):
                    yield name, value, kind[1]
