"""Texts without secrets, and texts without names: what may be logged, and what may be sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "***"
_SECRET_KEY = re.compile(
    r"pass(?:word|wd|phrase)?|secret|token_?value|api_?key|private_?key|ticket|cookie|csrf"
    r"|authorization|credential|cipassword|sshkeys?",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"(?P<key>[\w.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|ticket|cookie"
    r"|authorization|cipassword)[\w.-]*)(?P<between>[\"']?\s*[=:]\s*)"
    r"(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(?P<id>[\w.-]+@[\w.-]+![\w.-]+)=(?P<value>\S+)")
_BEARER = re.compile(r"\b(Bearer|PVEAuthCookie=|PVEAPIToken=)(\s*)(?!\*)[^\s,;]+", re.IGNORECASE)
_TICKET = re.compile(r"PVE:[^\s:]+:[0-9A-F]{8}::\S+")
_URL_LOGIN = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)

_WORD = re.compile(r"[A-Za-z0-9_.:@-]+")
_MAC = re.compile(r"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b")
_V4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]\d)")
_V6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_HOME = re.compile(r"(?:/home/|/Users/|C:\\Users\\)[^\s/\\:\"']+")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` without secrets: those that are known, and what looks like one."""
    for secret in sorted((s for s in secrets if len(s) >= 4), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _KEY_BLOCK.sub(HIDDEN, text)
    text = _TICKET.sub(HIDDEN, text)
    text = _URL_LOGIN.sub(HIDDEN, text)
    text = _TOKEN.sub(rf"\g<id>={HIDDEN}", text)
    text = _BEARER.sub(rf"\1\2{HIDDEN}", text)
    return _ASSIGNED.sub(rf"\g<key>\g<between>{HIDDEN}", text)


def redacted(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return a JSON value without secrets; what stands under a key such as ``password`` is one."""
    known = tuple(secrets)
    if isinstance(value, str):
        return redact(value, known)
    if isinstance(value, Mapping):
        return {
            redact(str(key), known): HIDDEN
            if item and _SECRET_KEY.search(str(key)) and not isinstance(item, Mapping | bool)
            else redacted(item, known)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(item, known) for item in value]
    return value if isinstance(value, int | float | bool) or value is None else redact(str(value))


class Anonymiser:
    """Puts the same made-up name wherever a real one stands; what belongs together stays so."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        """``names`` are real ones with what each is: ``{"pve": "node", "web": "guest"}``."""
        self._kinds = {name: kind for name, kind in (names or {}).items() if name}
        self._given: dict[tuple[str, str], str] = {}

    def text(self, text: str) -> str:
        """Return ``text`` with made-up names, addresses and homes."""
        text = _HOME.sub("~", text)
        text = _MAIL.sub(lambda m: self._for("mail", m[0]), text)
        text = _MAC.sub(lambda m: self._for("mac", m[0].upper()), text)
        text = _V6.sub(lambda m: self._address(m[0]), text)
        text = _V4.sub(lambda m: self._address(m[0]), text)
        return _WORD.sub(lambda m: self._word(m[0]), text) if self._kinds else text

    def value(self, value: Any) -> Any:
        """Return a JSON value with made-up names in all of its texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def _for(self, kind: str, real: str) -> str:
        number = sum(1 for known, _ in self._given if known == kind) + 1
        return self._given.setdefault((kind, real), f"{kind}-{number}")

    def _address(self, text: str) -> str:
        try:
            found = ipaddress.ip_address(text)
        except ValueError:
            return text  # a version, a time
        return text if found.is_loopback or found.is_unspecified else self._for("ip", str(found))

    def _word(self, word: str) -> str:
        if word in self._kinds:
            return self._for(self._kinds[word], word)
        parts = re.split(r"([.:@])", word)
        return "".join(
            self._for(self._kinds[part], part) if part in self._kinds else part for part in parts
        )
