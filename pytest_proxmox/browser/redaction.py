"""Takes secrets out of what is shown or kept of a page."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "***"
_SHORT = 4  # a shorter value is no secret, and would blacken half of a page
_WORD = (
    r"[\w.-]*(?:password|passwd|secret|token|ticket|cookie|csrf|authorization|api[_-]?key)[\w.-]*"
)
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*")
_PVE = re.compile(r"(PVE(?:API)?(?:Token|AuthCookie)=)[^\s;\"'&]+")
_BEARER = re.compile(r"((?:Bearer|Basic)\s+)[\w.~+/=-]{6,}")
_PAIR = re.compile(rf"""((\\*["'])({_WORD})\2\s*:\s*)(\\*["'])(?:(?!\4).)*\4""", re.I)
_NAMED = r"[^\"]*(?:token|cookie|authorization|csrf)[^\"]*"
_ITEM = re.compile(rf'("name":\s*"{_NAMED}",\s*"value":\s*)"(?:\\.|[^"])*"', re.I)  # of a HAR
_FIELD = re.compile(rf"\b({_WORD}=)[^\s&;\"']+", re.I)
_INPUT = re.compile(
    r"""(<input\b[^>]*\btype=["']?password["']?[^>]*\bvalue=)(["'])[^"']*\2""", re.I
)


class Redactor:
    """Replaces known secrets, and what looks like one, by ``***``."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        for secret in secrets:
            self.learn(secret)

    def __repr__(self) -> str:
        return f"Redactor({len(self._known)} secrets)"

    def learn(self, secret: str | None) -> None:
        """Hide this value from now on, wherever it stands."""
        if secret and len(secret) >= _SHORT:
            self._known.add(secret)

    def text(self, text: str) -> str:
        """Return ``text`` without its secrets."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        text = _JWT.sub(HIDDEN, text)
        text = _PVE.sub(rf"\g<1>{HIDDEN}", text)
        text = _BEARER.sub(rf"\g<1>{HIDDEN}", text)
        text = _PAIR.sub(rf"\g<1>\g<4>{HIDDEN}\g<4>", text)
        text = _ITEM.sub(rf'\g<1>"{HIDDEN}"', text)
        text = _INPUT.sub(rf"\g<1>\g<2>{HIDDEN}\g<2>", text)
        return _FIELD.sub(rf"\g<1>{HIDDEN}", text)

    def url(self, url: str) -> str:
        """Return ``url`` without a user's name and password, and without secrets in its query."""
        try:
            parts = urlsplit(url)
        except ValueError:  # a page may have gone anywhere
            return self.text(url)
        if parts.username or parts.password:
            parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        return self.text(urlunsplit(parts))

    def archive(self, path: Path) -> None:
        """Rewrite a zip file, e.g. a trace, without the secrets in its text members."""
        clean = path.with_name(f"{path.name}.clean")
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(clean, "w", zipfile.ZIP_DEFLATED) as new:
            for entry in old.infolist():
                new.writestr(entry, self._member(old.read(entry)))
        clean.replace(path)

    def _member(self, content: bytes) -> bytes:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:  # a picture
            return content
        return self.text(text).encode("utf-8")
