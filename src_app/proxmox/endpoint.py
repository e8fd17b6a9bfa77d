"""Where a Proxmox is and who logs in: arguments first, then the environment.

Read-only tables and pure functions; nothing here opens a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from src_app.proxmox.errors import SettingError

DEFAULT_PORT = 8006
DEFAULT_USER = "root@pam"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in: with a password, or with a token of that user."""

    user: str
    password: str | None = field(default=None, repr=False)
    token_name: str | None = None
    token_value: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The name as Proxmox writes it into UPIDs: ``user@realm`` or ``user@realm!token``."""
        return f"{self.user}!{self.token_name}" if self.token_name else self.user


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Proxmox to talk to; ``verify`` is a yes, a no, or the path of a CA's file."""

    host: str
    port: int
    login: Login
    verify: bool | str

    @property
    def url(self) -> str:
        """The server's address, as a browser takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


@dataclass(frozen=True, slots=True)
class ConnectArguments:
    """What ``connect()`` was given; ``None`` means: not given, look in the environment."""

    host: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    verify_ssl: bool | str | None = None
    port: int | str | None = None
    token_name: str | None = None
    token_value: str | None = field(default=None, repr=False)


def resolve(arguments: ConnectArguments, environ: Mapping[str, str]) -> Endpoint:
    """Return the endpoint that arguments and environment name, arguments first.

    Raises:
        SettingError: the host or the secret is missing, or a value cannot be used.
    """
    host, port = _address(arguments, environ)
    return Endpoint(host, port, _login(arguments, environ), _verify(arguments, environ))


def split_host(text: str, *, origin: str) -> tuple[str, str | None]:
    """Return host and port of ``host``, ``host:port``, ``[v6]:port`` or an https URL.

    The port is ``None`` where the text has none.

    Raises:
        SettingError: empty, another scheme than https, or a path behind the port.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    bare = rest.removesuffix("/")
    if (separator and scheme.lower() != "https") or not bare or "/" in bare:
        raise SettingError(
            f'"{text}" is not a Proxmox address',
            origin=origin,
            hint="Give a host name or host:port, e.g. pve.example.org:8006.",
        )
    if bare.startswith("["):
        host, _, tail = bare[1:].partition("]")
        return host, tail.removeprefix(":") or None
    if bare.count(":") > 1:
        return bare, None  # an IPv6 address without brackets has no place for a port
    host, _, port = bare.partition(":")
    return host, port or None


def _address(arguments: ConnectArguments, environ: Mapping[str, str]) -> tuple[str, int]:
    text, origin = arguments.host, "argument host"
    if not text:
        text, origin = environ.get("PROXMOX_HOST"), "PROXMOX_HOST"
    if not text:
        raise SettingError(
            "no Proxmox to connect to",
            origin="argument host and PROXMOX_HOST are empty",
            hint="Give host=…, or set PROXMOX_HOST to the address of a node.",
        )
    host, port = split_host(text, origin=origin)
    if port is not None:
        return host, _port(port, origin=origin)
    if arguments.port is not None:
        return host, _port(arguments.port, origin="argument port")
    if environ.get("PROXMOX_PORT"):
        return host, _port(environ["PROXMOX_PORT"], origin="PROXMOX_PORT")
    return host, DEFAULT_PORT


def _port(text: int | str, *, origin: str) -> int:
    digits = str(text).strip()
    number = int(digits) if digits.isascii() and digits.isdigit() else 0
    if not 1 <= number <= 65535:
        raise SettingError(
            f'"{text}" is not a port', origin=origin, hint=f"Use 1 to 65535, e.g. {DEFAULT_PORT}."
        )
    return number


def _login(arguments: ConnectArguments, environ: Mapping[str, str]) -> Login:
    user = arguments.user or _first(environ, "PROXMOX_USER", "PROXMOX_USERNAME") or DEFAULT_USER
    if arguments.password is not None:
        return Login(_with_realm(user), password=arguments.password)
    value = arguments.token_value or _first(environ, "PROXMOX_TOKEN_VALUE", "PROXMOX_TOKEN_SECRET")
    name = arguments.token_name or _first(environ, "PROXMOX_TOKEN_NAME", "PROXMOX_TOKEN_ID")
    if name and value:
        owner, separator, token = name.rpartition("!")
        return Login(_with_realm(owner if separator else user), token_name=token, token_value=value)
    if arguments.token_name or arguments.token_value:
        raise SettingError(
            f"half a token: its {'name' if name else 'value'} is there, the rest is not",
            origin="arguments token_name and token_value",
            hint="Give both, or set PROXMOX_TOKEN_NAME and PROXMOX_TOKEN_VALUE.",
        )
    if environ.get("PROXMOX_PASSWORD"):
        return Login(_with_realm(user), password=environ["PROXMOX_PASSWORD"])
    raise SettingError(
        f"no password and no token for {user}",
        origin="arguments and PROXMOX_* are empty",
        hint="Set PROXMOX_PASSWORD, or PROXMOX_TOKEN_NAME and PROXMOX_TOKEN_VALUE.",
    )


def _with_realm(user: str) -> str:
    """Return ``user``, in realm ``pam`` where it names none: Proxmox refuses a bare name."""
    return user if "@" in user else f"{user}@pam"


def _verify(arguments: ConnectArguments, environ: Mapping[str, str]) -> bool | str:
    if arguments.verify_ssl is not None:
        return arguments.verify_ssl
    text = environ.get("PROXMOX_VERIFY_SSL", "").strip()
    if text.lower() in _FALSE:
        return False
    return True if not text or text.lower() in _TRUE else text


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    """Return the first of these variables that holds something."""
    return next((environ[name] for name in names if environ.get(name)), None)
