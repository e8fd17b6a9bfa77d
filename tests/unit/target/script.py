"""A scripted API handle: answers in the order they were written down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from proxmoxer.core import ResourceException


class Script:
    """Gives one answer a call: data, an exception, or ``(status, reason[, errors])``."""

    def __init__(self, answers: Iterable[object]) -> None:
        self._answers = iter(answers)
        self.sent: list[tuple[str, str]] = []
        self.params: list[dict[str, Any]] = []

    def __call__(self, path: str, /) -> ScriptedResource:
        """Return the resource at ``path``."""
        return ScriptedResource(self, path)

    def answer(self, method: str, path: str, params: dict[str, Any]) -> Any:
        """Return or raise the next answer."""
        self.sent.append((method, path))
        self.params.append(params)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            status, reason, *errors = answer
            raise ResourceException(status, "text", reason, *errors)
        return answer


class ScriptedResource:
    """A path of the script's API."""

    def __init__(self, script: Script, path: str) -> None:
        self._script = script
        self._path = path

    def get(self, **params: Any) -> Any:
        """Return the next answer."""
        return self._script.answer("GET", self._path, params)

    def post(self, **data: Any) -> Any:
        """Return the next answer."""
        return self._script.answer("POST", self._path, data)

    def put(self, **data: Any) -> Any:
        """Return the next answer."""
        return self._script.answer("PUT", self._path, data)

    def delete(self, **params: Any) -> Any:
        """Return the next answer."""
        return self._script.answer("DELETE", self._path, params)
