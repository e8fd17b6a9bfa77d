"""Where a Proxmox VE is and who asks: address, credentials, certificate, patience."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_proxmox.errors import InvalidValue

PVE_PORT = 8006
# PVE waits 10 s for a guest's lock and gives up on another node after 30 s of silence: a client
# that hangs up earlier loses late answers and does not know what they did (demand.md 1.1 row 5).
TIMEOUT_S = 40.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Proxmox VE API and the credentials for it; secrets are in no repr.

    Give a ``password``, or ``token_name`` and ``token_value``. ``ca_file`` verifies against
    one CA instead of the system's.
    """

    host: str
    port: int = PVE_PORT
    user: str = "root@pam"
    password: str | None = field(default=None, repr=False)
    token_name: str | None = None
    token_value: str | None = field(default=None, repr=False)
    verify_ssl: bool = True
    ca_file: Path | None = None
    timeout_s: float = TIMEOUT_S

    def __post_init__(self) -> None:
        if not self.host:
            raise InvalidValue("the Proxmox target has no host", hint="Set PROXMOX_HOST")
        if "@" not in self.user:
            raise InvalidValue(
                f'user "{self.user}" has no realm', hint=f"Write it out, e.g. {self.user}@pam"
            )
        if self.token_name is None and self.password is None:
            raise InvalidValue(
                f"no password and no token for {self.user} at {self.url}",
                hint="Set PROXMOX_PASSWORD, or PROXMOX_TOKEN_NAME and PROXMOX_TOKEN_VALUE",
            )
        if (self.token_name is None) != (self.token_value is None):
            raise InvalidValue(
                f"half an API token for {self.user} at {self.url}",
                hint="Set both PROXMOX_TOKEN_NAME and PROXMOX_TOKEN_VALUE",
            )

    @property
    def url(self) -> str:
        """The address as PVE's own web page has it, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"

    @property
    def identity(self) -> str:
        """Who the target's task lists name: ``user@realm``, with ``!token`` behind it."""
        return self.user if self.token_name is None else f"{self.user}!{self.token_name}"

    @property
    def is_loopback(self) -> bool:
        """Whether the target is this machine, which no proxy can reach for us."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def proxmoxer_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments for ``proxmoxer.ProxmoxAPI(**arguments)``."""
        verify: bool | str = self.verify_ssl
        if self.verify_ssl and self.ca_file is not None:
            verify = str(self.ca_file)
        arguments: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "verify_ssl": verify,
            "timeout": self.timeout_s,
        }
        if self.token_name is not None:
            return arguments | {"token_name": self.token_name, "token_value": self.token_value}
        return arguments | {"password": self.password}
