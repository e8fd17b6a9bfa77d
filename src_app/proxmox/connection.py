"""A logged-in way to one Proxmox: requests go in, data or typed errors come out."""

from __future__ import annotations

import re
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from proxmoxer import ProxmoxAPI
from proxmoxer.core import AuthenticationError, ResourceException
from urllib3.exceptions import (
    ConnectTimeoutError,
    InsecureRequestWarning,
    NewConnectionError,
)

from src_app.proxmox.endpoint import Endpoint
from src_app.proxmox.errors import (
    CertificateRefused,
    InvalidRequest,
    LoginRefused,
    OutcomeUnknown,
    PermissionDenied,
    ProxmoxError,
    RequestFailed,
    SettingError,
    Unreachable,
)

# proxmoxer waits 5 s by default, less than the 10 s that Proxmox itself waits for a config
# lock and the 30 s that one node waits for another: such answers would be lost.
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 35.0

# The node that answers gave up on the node that works: the request may have run there.
_LOST_BETWEEN_NODES = frozenset({596, 597, 598, 599})

_LOGIN_STATUS = re.compile(r"code: (\d{3})$")

Opener = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it went; ``error`` is the name of what it raised, empty for none."""

    verb: str
    path: str
    duration_s: float
    error: str = ""


Watch = Callable[[Call], None]


def unwatched(_: Call) -> None:
    """Look at no request."""


class Connection:
    """One login at one Proxmox, usable from several threads.

    Reads (``get``) may be repeated by the caller. Writes that get no answer raise
    ``OutcomeUnknown``: they may have run.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        options: Mapping[str, Any] | None = None,
        opener: Opener = ProxmoxAPI,
        watch: Watch = unwatched,
    ) -> None:
        self.endpoint = endpoint
        self._options = dict(options or {})
        self._opener = opener
        self.watch = watch  # is told of each request
        self._lock = threading.Lock()
        self._api: Any = None
        self._generation = 0

    def open(self) -> dict[str, Any]:
        """Log in and return the server's version.

        Raises:
            Unreachable: nothing answers, or not as a Proxmox does.
            LoginRefused: the password or token is wrong.
        """
        self._accept_silence()
        self._log_in(replacing=self._generation)
        version = self.get("/version")
        if not isinstance(version, dict):
            raise self._not_a_proxmox()
        return version

    def get(self, path: str, **params: Any) -> Any:
        """Return what ``GET path`` holds."""
        return self._request("get", path, params)

    def post(self, path: str, **params: Any) -> Any:
        """Return the answer of ``POST path``, often a UPID."""
        return self._request("post", path, params)

    def put(self, path: str, **params: Any) -> Any:
        """Return the answer of ``PUT path``: nothing for a config, a UPID for a resize."""
        return self._request("put", path, params)

    def delete(self, path: str, **params: Any) -> Any:
        """Return the answer of ``DELETE path``; the parameters go into the query."""
        return self._request("delete", path, params)

    def _request(self, verb: str, path: str, params: Mapping[str, Any]) -> Any:
        begun, error = time.monotonic(), ""
        try:
            return self._answered(verb, path, params)
        except ProxmoxError as exc:
            error = type(exc).__name__
            raise
        finally:
            self.watch(Call(verb, path, time.monotonic() - begun, error))

    def _answered(self, verb: str, path: str, params: Mapping[str, Any]) -> Any:
        wire = {
            key: int(value) if value is True or value is False else value
            for key, value in params.items()
        }
        api, generation = self._api, self._generation
        self._accept_silence()
        try:
            try:
                return self._send(api, verb, path, wire)
            except (ResourceException, AuthenticationError) as exc:
                if not self._wants_fresh_login(exc):
                    raise
            # A 401 says that nothing ran, so even a write may be sent again.
            api = self._log_in(replacing=generation)
            return self._send(api, verb, path, wire)
        except ResourceException as exc:
            raise self._translated(exc, verb, path) from exc
        except AuthenticationError as exc:
            raise self._login_refused(exc) from exc
        except requests.RequestException as exc:
            raise self._unanswered(exc, verb, path) from exc

    @staticmethod
    def _send(api: Any, verb: str, path: str, params: Mapping[str, Any]) -> Any:
        resource = api(path.strip("/").split("/"))
        return getattr(resource, verb)(**params)

    def _wants_fresh_login(self, exc: Exception) -> bool:
        """Tell whether a new ticket can help: a token never gets better by asking again."""
        refused = isinstance(exc, AuthenticationError) or (
            isinstance(exc, ResourceException) and exc.status_code == 401
        )
        return refused and self.endpoint.login.password is not None

    def _log_in(self, *, replacing: int) -> Any:
        """Return an API object with a fresh login; of several threads only one logs in."""
        with self._lock:
            if self._generation == replacing:
                self._api = self._opened()
                self._generation += 1
            return self._api

    def _opened(self) -> Any:
        where, login = self.endpoint, self.endpoint.login
        secret = (
            {"token_name": login.token_name, "token_value": login.token_value}
            if login.token_name
            else {"password": login.password}
        )
        arguments = {
            "timeout": (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            "port": where.port,
            "user": login.user,
            "verify_ssl": where.verify,
            **secret,
            **self._options,
        }
        if where.is_loopback:
            arguments.setdefault("proxies", {"https": None, "all": None})
        host = f"[{where.host}]" if ":" in where.host else where.host
        try:
            api = self._opener(host, **arguments)
            self._keep_off_proxies(api)
            return api
        except AuthenticationError as exc:
            raise self._login_refused(exc) from exc
        except requests.JSONDecodeError as exc:
            raise self._not_a_proxmox() from exc
        except requests.RequestException as exc:
            raise self._unreachable(exc) from exc
        except OSError as exc:  # requests says so when the CA's file is not there
            raise SettingError(
                f'certificate file "{where.verify}" cannot be read',
                origin="verify_ssl",
                hint="Give the path of the CA's file, or true or false.",
            ) from exc
        except (KeyError, TypeError, ValueError) as exc:
            raise self._not_a_proxmox() from exc

    def _accept_silence(self) -> None:
        """Let urllib3 say nothing of a certificate that nobody wants to have checked.

        proxmoxer silences urllib3 when it is imported. Test runners put the filters back
        after each test, so that is not enough where warnings are errors.
        """
        if self.endpoint.verify is False and not _is_ignored(InsecureRequestWarning):
            warnings.simplefilter("ignore", InsecureRequestWarning)

    def _keep_off_proxies(self, api: Any) -> None:
        """Talk to this machine directly: no proxy of HTTPS_PROXY could reach it for us.

        proxmoxer hands ``proxies`` to its login only, and has no public way to its session.
        """
        if self.endpoint.is_loopback:
            api._store["session"].trust_env = False

    def _translated(self, exc: ResourceException, verb: str, path: str) -> ProxmoxError:
        reason = str(exc.content).strip() or str(exc.status_message)
        what = f"{verb.upper()} {path} was refused: {reason}"
        if exc.status_code == 401:
            return self._login_refused(exc)
        if exc.status_code in _LOST_BETWEEN_NODES and verb != "get":
            return _unknown(f"{verb.upper()} {path}", f"HTTP {exc.status_code} {reason}")
        fields = _field_errors(exc.errors)
        if exc.status_code == 400:
            told = "; ".join(f"{name}: {text}" for name, text in fields.items())
            return InvalidRequest(
                f"{what} {told}".rstrip(),
                status=400,
                reason=reason,
                fields=fields,
                hint="Correct the values named.",
            )
        if exc.status_code == 403:
            return PermissionDenied(
                what,
                status=403,
                reason=reason,
                hint=f"Give {self.endpoint.login.name} the right that is named.",
            )
        return RequestFailed(what, status=int(exc.status_code), reason=reason, fields=fields)

    def _unanswered(self, exc: requests.RequestException, verb: str, path: str) -> ProxmoxError:
        if verb == "get" or _has_cause(exc, NewConnectionError, ConnectTimeoutError):
            return self._unreachable(exc)
        return _unknown(f"{verb.upper()} {path}", type(exc).__name__)

    def _unreachable(self, exc: requests.RequestException) -> Unreachable:
        where = self.endpoint
        if _has_cause(exc, ssl.SSLCertVerificationError):
            return CertificateRefused(
                f"the certificate of {where.url} cannot be verified",
                origin=f"verify_ssl is {where.verify!r}",
                hint="Give verify_ssl=PATH of the CA's file, or False on a trusted network.",
            )
        return Unreachable(
            f"no Proxmox answers at {where.url} ({type(exc).__name__})",
            origin="host and port as given to connect()",
            hint="Check address, port and firewall.",
        )

    def _login_refused(self, exc: Exception) -> ProxmoxError:
        """Return what a failed login means; proxmoxer has the status in its text only."""
        found = _LOGIN_STATUS.search(str(exc)) if isinstance(exc, AuthenticationError) else None
        if found and found[1] != "401":
            return self._not_a_proxmox()
        login = self.endpoint.login
        kind = "token" if login.token_name else "password"
        return LoginRefused(
            f"{self.endpoint.url} refused the {kind} of {login.name}",
            origin=f"user and {kind} as given to connect() or in PROXMOX_*",
            hint=f"Check the {kind}, and that the user's realm (@pam, @pve) is right.",
        )

    def _not_a_proxmox(self) -> Unreachable:
        return Unreachable(
            f"{self.endpoint.url} answers, but not as a Proxmox VE does",
            origin="host and port as given to connect()",
            hint="The API of a node is usually on port 8006.",
        )


def _is_ignored(kind: type[Warning]) -> bool:
    """Tell whether the first filter that decides about every such warning ignores it."""
    deciding = (
        action
        for action, message, category, module, line in warnings.filters
        if issubclass(kind, category) and message is None and module is None and not line
    )
    return next(deciding, "default") == "ignore"


def _has_cause(exc: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Tell whether ``exc`` is one of these kinds, or came from one: requests wraps twice."""
    while exc is not None:
        if isinstance(exc, kinds):
            return True
        exc = exc.__cause__ or exc.__context__
    return False


def _unknown(request: str, sign: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{request} got no answer; it may have run",
        origin=sign,
        hint="Look at what is there before you try again.",
    )


def _field_errors(errors: Any) -> dict[str, str]:
    """Return the message for each field of a refused request; empty where there is none."""
    if not isinstance(errors, Mapping):
        return {}
    return {str(name): str(text).strip() for name, text in errors.items()}
