"""Redaction: requests and answers as they may be shown and kept, without what opens a door."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any, Final

HIDDEN: Final = "***"
_SECRET: Final = re.compile(
    r"passw|secret|ticket|csrf|cookie|authorization|^key$|[-_]key$|^otp$|tfa|recovery", re.I
)
_PUBLIC: Final = frozenset({"ssh-public-keys", "digest", "maxkeys"})
_VALUE_OF_TOKEN: Final = re.compile(r"/access/users/[^/]+/token/")
SHORTEST: Final = 4  # a secret below this would be found in half of all texts


class Redaction:
    """Hides what fields are named for, and these very secrets wherever they turn up."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        self._secrets = sorted(
            {one for one in secrets if one and len(one) >= SHORTEST}, key=len, reverse=True
        )

    def __repr__(self) -> str:
        return f"Redaction({len(self._secrets)} secrets)"

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def data(self, data: Any, *, path: str = "") -> Any:
        """Return parameters, or an answer from ``path``, without secrets."""
        if isinstance(data, dict):
            hides_value = bool(_VALUE_OF_TOKEN.search(path))
            return {
                key: HIDDEN
                if _is_secret(str(key)) or (hides_value and key == "value")
                else self.data(value, path=path)
                for key, value in data.items()
            }
        if isinstance(data, list):
            return [self.data(one, path=path) for one in data]
        return self.text(data) if isinstance(data, str) else data


# A field and its value as Python and JSON print them, which is how clients log what they send.
_LOGGED: Final = re.compile(
    r"""(?P<field>(?P<q>['"])[\w-]*(?:passw|secret|ticket|csrf|private|otp)[\w-]*(?P=q)\s*:\s*)"""
    r"""(?P<v>['"])(?:\\.|(?!(?P=v)).)*(?P=v)""",
    re.I,
)


class LogFilter(logging.Filter):
    """Takes secrets out of what a client library logs; every record passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record, and let it pass."""
        text = record.getMessage()
        shown = _LOGGED.sub(rf"\g<field>'{HIDDEN}'", text)
        if shown != text:
            record.msg, record.args = shown, None
        return True


_FILTER: Final = LogFilter()


def guard_logs(*names: str) -> None:
    """Keep secrets out of these loggers; twice does no harm."""
    for name in names:
        logging.getLogger(name).addFilter(_FILTER)


def _is_secret(key: str) -> bool:
    return key not in _PUBLIC and _SECRET.search(key) is not None
