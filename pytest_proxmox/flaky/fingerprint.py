"""The fingerprint of a failure: the same for alike failures of different runs and machines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

MESSAGE_LIMIT = 300
TRACE_LIMIT = 6000  # characters: the frames nearest to the failure
_VARYING: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"UPID:\S+"), "UPID"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I), "UUID"),
    (re.compile(r"0x[0-9a-fA-F]+"), "ADDRESS"),
    (re.compile(r"\b[0-9a-fA-F]{12,}\b"), "HEX"),
    (re.compile(r"(?:[A-Za-z]:)?(?:[\\/][\w.+~-]+){2,}"), "PATH"),
    (re.compile(r"\d+"), "N"),
    (re.compile(r"\s+"), " "),
)
_SECRETS = re.compile(
    r"(?i)(PVEAPIToken=[^=\s]+=|PVEAuthCookie=|CSRFPreventionToken:\s*|Authorization:\s*(?:Bearer|Basic)\s+"
    r"|\b(?:password|passwd|secret|token|token_value|api_key)[\"']?\s*[=:]\s*[\"']?|://[^/\s:@]+:)"
    r"[^\s\"',;@&)]+"
)


def normalize(text: str) -> str:
    """Return the text with what differs from run to run replaced: numbers, paths, addresses."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text.strip()


def fingerprint(type_name: str, text: str, place: str) -> str:
    """Return 16 hex digits for a failure's type, its text, and where in the project it rose."""
    whole = "\0".join((type_name, normalize(text)[:MESSAGE_LIMIT], normalize(place)))
    return hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()


def without_secrets(text: str, secrets: Sequence[str] = ()) -> str:
    """Return the text without these secrets, and without what looks like one."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _SECRETS.sub(r"\1***", text)


def last_lines(text: str, *, secrets: Sequence[str] = ()) -> str:
    """Return the end of a long text, whole lines of it, with no secret in it."""
    clean = without_secrets(text, secrets)
    if len(clean) <= TRACE_LIMIT:
        return clean
    end = clean[-TRACE_LIMIT:].partition("\n")[2]
    return f"…\n{end}"


def one_line(text: str, *, secrets: Sequence[str] = ()) -> str:
    """Return the text as one line of bounded length, with no secret in it."""
    line = " ".join(without_secrets(text, secrets).split())
    return line if len(line) <= MESSAGE_LIMIT else f"{line[: MESSAGE_LIMIT - 1]}…"
