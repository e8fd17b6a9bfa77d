"""Calls to a Proxmox VE: a proxmoxer handle with the failure table and the retries applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pytest_proxmox.errors import ApiFailure
from pytest_proxmox.target.failures import Kind, api_failure, parse

if TYPE_CHECKING:
    from pytest_proxmox.clock import Clock

ATTEMPTS = 4  # with the waits below: about 10 s in all, as long as PVE itself waits for a lock
LONGEST_WAIT_S = 8.0


class Resource(Protocol):
    """A path of the API, as proxmoxer's resources behave."""

    def get(self, **params: Any) -> Any:
        """Return the ``data`` of a GET."""

    def post(self, **data: Any) -> Any:
        """Return the ``data`` of a POST."""

    def put(self, **data: Any) -> Any:
        """Return the ``data`` of a PUT."""

    def delete(self, **params: Any) -> Any:
        """Return the ``data`` of a DELETE; parameters go into the query."""


class Api(Protocol):
    """A proxmoxer handle, as far as we use one: a path in, its resource out."""

    def __call__(self, path: str, /) -> Resource:
        """Return the resource at ``path`` below ``/api2/json``."""


class Calls:
    """GET, POST, PUT and DELETE that raise ``ApiFailure`` and retry what is safe to retry.

    Only answers that the table calls transient are sent again: for a write that means nothing
    can have happened (the connection was refused, or PVE gave up waiting for a lock).
    """

    def __init__(self, api: Api, clock: Clock) -> None:
        self.api = api
        self.clock = clock

    def get(self, path: str, /, **params: Any) -> Any:
        """Return the ``data`` at ``path``.

        Raises:
            ApiFailure: the answer was an error, or none came.
        """
        return self._call("GET", path, params)

    def post(self, path: str, /, **data: Any) -> Any:
        """Return the ``data`` of a POST, often a UPID.

        Raises:
            ApiFailure: the answer was an error, or none came (kind ``ambiguous``).
        """
        return self._call("POST", path, data)

    def put(self, path: str, /, **data: Any) -> Any:
        """Return the ``data`` of a PUT, often nothing.

        Raises:
            ApiFailure: the answer was an error, or none came (kind ``ambiguous``).
        """
        return self._call("PUT", path, data)

    def delete(self, path: str, /, **params: Any) -> Any:
        """Return the ``data`` of a DELETE, a UPID for guests and volumes.

        Raises:
            ApiFailure: the answer was an error, or none came (kind ``ambiguous``).
        """
        return self._call("DELETE", path, params)

    def _call(self, method: str, path: str, params: dict[str, Any]) -> Any:
        return self._retrying()(self._once, method, path, params)

    def _once(self, method: str, path: str, params: dict[str, Any]) -> Any:
        try:
            return getattr(self.api(path), method.lower())(**params)
        except Exception as exc:
            failure = parse(exc, write=method != "GET")
            if failure is None:
                raise
            raise api_failure(f"{method} {path}", failure) from exc

    def _retrying(self) -> Retrying:
        return Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_S),
            retry=retry_if_exception(is_transient),
            sleep=self.clock.sleep,
            reraise=True,
        )


def is_transient(error: BaseException) -> bool:
    """Whether the same call may be sent again at once without harm."""
    return isinstance(error, ApiFailure) and error.kind == Kind.TRANSIENT
