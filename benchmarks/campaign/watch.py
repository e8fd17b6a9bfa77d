"""Watch: an API handle that knows at which call of its life a process is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.campaign.boundaries import boundary_of
from pytest_proxmox.target.calls import Api, Resource

Send = Callable[[], Any]
Happen = Callable[[Send], Any]
"""What happens at the call: it sends the request itself, before or after, or never."""


class Watcher(Protocol):
    """Whoever sees each call of a watched handle, and sends it."""

    def call(self, method: str, path: str, params: dict[str, Any], send: Send) -> Any:
        """Return what the request gives."""


class Trigger:
    """Fires once, at the ``nth`` call of one kind."""

    def __init__(self, boundary: str, nth: int, happen: Happen) -> None:
        self._boundary = boundary
        self._left = nth
        self._happen = happen
        self.has_fired = False

    def call(self, method: str, path: str, params: dict[str, Any], send: Send) -> Any:
        """Return what the request gives, with the event where it is due."""
        if not self.has_fired and self._is_it(method, path, params):
            self._left -= 1
            if self._left == 0:
                self.has_fired = True
                return self._happen(send)
        return send()

    def _is_it(self, method: str, path: str, params: dict[str, Any]) -> bool:
        restores = method == "POST" and "restore" in params
        return boundary_of(method, path, restores=restores) == self._boundary


class Watched:
    """An API handle whose calls a watcher sees."""

    def __init__(self, api: Api, trigger: Watcher) -> None:
        self._api = api
        self._trigger = trigger

    def __call__(self, path: str, /) -> Resource:
        """Return the resource at a path, watched."""
        return _Resource(self._api(path), path, self._trigger)


class _Resource:
    def __init__(self, resource: Resource, path: str, trigger: Watcher) -> None:
        self._resource = resource
        self._path = path
        self._trigger = trigger

    def get(self, **params: Any) -> Any:
        """Return the ``data`` of a GET."""
        return self._call("GET", params, lambda: self._resource.get(**params))

    def post(self, **data: Any) -> Any:
        """Return the ``data`` of a POST."""
        return self._call("POST", data, lambda: self._resource.post(**data))

    def put(self, **data: Any) -> Any:
        """Return the ``data`` of a PUT."""
        return self._call("PUT", data, lambda: self._resource.put(**data))

    def delete(self, **params: Any) -> Any:
        """Return the ``data`` of a DELETE."""
        return self._call("DELETE", params, lambda: self._resource.delete(**params))

    def _call(self, method: str, params: dict[str, Any], send: Send) -> Any:
        return self._trigger.call(method, self._path, params, send)
