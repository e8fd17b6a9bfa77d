"""A workspace's config: what it holds, how it is written, and how older ones become new ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import yaml

from src_app.domain.errors import InvalidInput
from src_app.proxmox.endpoint import DEFAULT_PORT, DEFAULT_USER
from src_app.workspace.errors import ConfigCorrupt, WorkspaceTooNew

VERSION = 3
END = b"\n...\n"  # YAML's own end of a document: without it the file was cut short
TEMPLATES = ("basic", "homelab", "production", "development")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+")
USER = re.compile(r"[^\s@:/]+@[A-Za-z][A-Za-z0-9._-]+")
TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """What a workspace is told. Its secret is not in here: ``ProjectWorkspace.secret()``.

    ``verify_ssl`` is a yes, a no, or the path of a CA's file.
    """

    name: str
    host: str
    port: int = DEFAULT_PORT
    user: str = DEFAULT_USER
    token_name: str = ""
    node: str = ""
    verify_ssl: bool | str = True
    template: str = "basic"
    created: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> WorkspaceConfig:
        """Return the config with these values.

        Raises:
            InvalidInput: names each value that cannot be used, and says what it must be.
        """
        known = {item.name for item in fields(cls)}
        wrong = {str(name): "is not a setting" for name in values if name not in known}
        for name in ("name", "host"):
            if name not in values:
                wrong[name] = "is missing"
        for name, value in values.items():
            problem = _problem(str(name), value)
            if problem is not None:
                wrong[str(name)] = problem
        if wrong:
            told = "; ".join(
                f'{name} "{values.get(name, "")}" {why}' for name, why in wrong.items()
            )
            raise InvalidInput(f"The workspace cannot be configured so: {told}", fields=wrong)
        return cls(**values)

    def changed(self, values: Mapping[str, Any]) -> WorkspaceConfig:
        """Return the same with other values.

        Raises:
            InvalidInput: as ``of``.
        """
        present = {item.name: getattr(self, item.name) for item in fields(self)}
        return WorkspaceConfig.of({**present, **values})

    def encode(self) -> bytes:
        """Return the config as it is written, with its version and its end."""
        where = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "token_name": self.token_name,
            "node": self.node,
            "verify_ssl": self.verify_ssl,
        }
        plain = {
            "version": VERSION,
            "name": self.name,
            "created": self.created,
            "template": self.template,
            "proxmox": where,
        }
        return encode(plain)


def encode(plain: Mapping[str, Any]) -> bytes:
    """Return a config of any version as it is written."""
    # Escapes, since YAML reads some line breaks of Unicode back as spaces (U+0085 for one).
    text: str = yaml.safe_dump(dict(plain), sort_keys=False, allow_unicode=False)
    return text.rstrip("\n").encode() + END


def decode(data: bytes) -> dict[str, Any]:
    """Return what a config's file says, of whichever version.

    Raises:
        ConfigCorrupt: it is cut short, or no config at all.
    """
    if not data.rstrip(b"\n").endswith(END.rstrip(b"\n")):
        raise ConfigCorrupt("the config is cut short: its last line is not '...'")
    try:
        plain = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigCorrupt(f"the config is no YAML: {str(exc).splitlines()[0]}") from exc
    if not isinstance(plain, dict):
        raise ConfigCorrupt("the config is not a mapping")
    version_of(plain)
    return plain


def version_of(plain: Mapping[str, Any]) -> int:
    """Return a config's version: a number, or the first of ``1.0.0``.

    Raises:
        ConfigCorrupt: it has none. WorkspaceTooNew: a later console wrote it.
    """
    found = re.match(r"\d{1,4}", str(plain.get("version", "")))
    if found is None or int(found[0]) < 1:
        raise ConfigCorrupt("the config has no version")
    if int(found[0]) > VERSION:
        raise WorkspaceTooNew(
            f"A later console made this workspace (version {found[0]}, known up to {VERSION}). "
            "Upgrade the console."
        )
    return int(found[0])


def parse(plain: Mapping[str, Any]) -> WorkspaceConfig:
    """Return the config in a mapping of the newest version.

    Raises:
        ConfigCorrupt: values are missing, or cannot be used.
    """
    where = plain.get("proxmox")
    values = {key: value for key, value in plain.items() if key not in ("version", "proxmox")}
    if isinstance(values.get("created"), date):  # as YAML reads one that nobody quoted
        values["created"] = values["created"].isoformat()
    try:
        return WorkspaceConfig.of({**values, **(where if isinstance(where, dict) else {})})
    except InvalidInput as exc:
        raise ConfigCorrupt(exc.message) from exc


# --- from older versions ----------------------------------------------------------------------

Plain = dict[str, Any]
_FIRST_NAMES = {
    "tokenId": "token_name",
    "username": "user",
    "rejectUnauthorized": "verify_ssl",
}


def _to_second(plain: Plain) -> tuple[Plain, str | None]:
    """Version 1 had the secret among the settings, and names of another language."""
    values = {_FIRST_NAMES.get(key, key): value for key, value in plain.items()}
    secret = values.pop("tokenSecret", None)
    values["token_name"] = str(values.get("token_name") or "").rpartition("!")[2]
    return values | {"version": 2}, secret


def _to_third(plain: Plain) -> tuple[Plain, str | None]:
    """Version 2 was flat."""
    own = ("name", "created", "template")
    where = {k: v for k, v in plain.items() if k not in (*own, "version")}
    kept = {k: plain[k] for k in own if k in plain}
    return {"version": 3, **kept, "proxmox": where}, None


STEPS: Mapping[int, Callable[[Plain], tuple[Plain, str | None]]] = {1: _to_second, 2: _to_third}
DATABASES: Mapping[int, str] = {1: "0001", 2: "0002"}  # what each older version had


def upgrade(plain: Mapping[str, Any]) -> tuple[Plain, str | None]:
    """Return the config in the newest version, and the secret where it was in it."""
    values, secret = dict(plain), None
    while (version := version_of(values)) < VERSION:
        values, found = STEPS[version](values)
        secret = found or secret
    return values, secret


# --- what values must be ----------------------------------------------------------------------


def _shaped(pattern: re.Pattern[str], wanted: str, *, empty: bool = False) -> Callable[[Any], Any]:
    def check(value: Any) -> str | None:
        fits = isinstance(value, str) and (bool(pattern.fullmatch(value)) or (empty and not value))
        return None if fits else wanted

    return check


def _port(value: Any) -> str | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535
    return None if fits else "must be a port, 1 to 65535"


def _verify(value: Any) -> str | None:
    fits = isinstance(value, bool) or (isinstance(value, str) and value.startswith("/"))
    return None if fits else "must be true, false, or the absolute path of a CA's file"


_RULES: Mapping[str, Callable[[Any], str | None]] = {
    "name": _shaped(NAME, "must be letters, digits, dots, dashes and underscores, 63 at most"),
    "host": _shaped(HOST, "must be a host name or an IP address"),
    "port": _port,
    "user": _shaped(USER, "must be a user with its realm, e.g. root@pam"),
    "token_name": _shaped(TOKEN, "must be the name of a token, without its user", empty=True),
    "node": _shaped(NODE, "must be the name of a node", empty=True),
    "verify_ssl": _verify,
    "template": lambda v: None if v in TEMPLATES else f"must be one of {', '.join(TEMPLATES)}",
    "created": lambda v: None if isinstance(v, str) else "must be a text",
}


def _problem(name: str, value: Any) -> str | None:
    return _RULES[name](value) if name in _RULES else None
