"""The manager's own settings: environment first, then a TOML file, then defaults."""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from src_app.domain.errors import ConfigurationError

PREFIX = "APP_"
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from ``first`` to ``last``, both included."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: object) -> Span:
        """Return the span in ``first-last``.

        Raises:
            ValueError: it is none.
        """
        found = re.fullmatch(r"(\d+)-(\d+)", str(text).strip())
        if found is None or int(found[1]) > int(found[2]):
            raise ValueError("must be FIRST-LAST, the lower number first")
        return cls(int(found[1]), int(found[2]))

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a process of the manager is told; secrets never show."""

    database_url: str = "sqlite:///app-manager.db"
    secret_key: str = field(default="", repr=False)
    host: str = "127.0.0.1"
    port: int = 8765
    catalog: tuple[Path, ...] = ()
    vmids: Span = Span(100, 999_999_999)
    public_ports: Span = Span(30000, 30999)
    internal_ports: Span = Span(40000, 40999)
    public_address: str = "127.0.0.1"
    access_token_s: int = 900
    refresh_token_s: int = 14 * 24 * 3600
    registration: bool = True
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 1024 * 1024
    storage: str = ""
    backup_storage: str = ""
    image_storage: str = ""
    bridge: str = "vmbr0"
    pool: str = ""
    sync_s: float = 10.0
    health_timeout_s: float = 120.0
    retry_pause_s: float = 1.0
    lease_s: float = 30.0
    parallel: int = 4
    workers: bool = True
    forward_ports: bool = False

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Configuration:
        """Return the settings of this process.

        ``APP_CONFIG`` names a TOML file with the same keys in lower case, without the prefix.

        Raises:
            ConfigurationError: a value cannot be used, or the file cannot be read.
        """
        source = os.environ if environ is None else environ
        told = _from_file(source.get(f"{PREFIX}CONFIG"))
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(told) - known)
        if unknown:
            raise ConfigurationError(f'"{unknown[0]}" in the file of APP_CONFIG is not a setting')
        for name in known:
            variable = f"{PREFIX}{name.upper()}"
            if source.get(variable):
                told[name] = source[variable]
        values = {name: _value(name, value) for name, value in told.items()}
        return cls(**values).with_key()

    def with_key(self) -> Configuration:
        """Return the same with a secret key: the given one, else one kept beside the database."""
        if self.secret_key:
            if len(self.secret_key) < 32:
                raise ConfigurationError("APP_SECRET_KEY must have at least 32 characters")
            return self
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return Configuration(**values | {"secret_key": _kept_key(self.database_url)})


def _from_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError(f'The file "{path}" of APP_CONFIG cannot be read: {exc}') from exc


def _kept_key(url: str) -> str:
    """Return the key in a file that only the owner can read, made at the first start."""
    if not url.startswith("sqlite:///") or url.endswith(":memory:"):
        raise ConfigurationError(
            "APP_SECRET_KEY is missing: several processes on one database must share it. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    path = Path(url.removeprefix("sqlite:///")).with_suffix(".key")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise ConfigurationError(f'The key file "{path}" cannot be made: {exc.strerror}') from exc
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text(encoding="utf-8").strip()


def _boolean(value: object) -> bool:
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return text in _TRUE


def _above_zero(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def parse(value: object) -> Any:
        number = kind(value)
        if not 0 < number < float("inf"):
            raise ValueError("must be above 0")
        return number

    return parse


def port_number(value: object) -> int:
    """Return a port that can be served on.

    Raises:
        ValueError: it is none.
    """
    text = str(value).strip()
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= 65_535:
        raise ValueError("must be a port, 1 to 65535")
    return number


def _list(value: object) -> tuple[str, ...]:
    parts = value if isinstance(value, list) else str(value).split(",")
    return tuple(str(part).strip() for part in parts if str(part).strip())


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "catalog": lambda value: tuple(Path(part) for part in _list(value)),
    "vmids": Span.parse,
    "public_ports": Span.parse,
    "internal_ports": Span.parse,
    "port": port_number,
    "access_token_s": _above_zero(int),
    "refresh_token_s": _above_zero(int),
    "max_body_bytes": _above_zero(int),
    "parallel": _above_zero(int),
    "sync_s": _above_zero(float),
    "health_timeout_s": _above_zero(float),
    "retry_pause_s": _above_zero(float),
    "lease_s": _above_zero(float),
    "registration": _boolean,
    "workers": _boolean,
    "forward_ports": _boolean,
    "cors_origins": _list,
}


def _value(name: str, value: Any) -> Any:
    try:
        return _PARSERS.get(name, str)(value)
    except ValueError as exc:
        shown = "" if name == "secret_key" else f' "{value}"'
        raise ConfigurationError(f"Setting {PREFIX}{name.upper()}{shown} {exc}") from exc
