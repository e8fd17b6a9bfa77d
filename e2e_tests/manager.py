"""The manager's API as tests use it: to prepare what a person looks at, and to clean up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import requests

from pytest_proxmox.browser import Account

TIMEOUT_S = 60


class ManagerApi:
    """The API, as one account."""

    def __init__(self, url: str, account: Account) -> None:
        self.url = url.rstrip("/")
        self.account = account
        self._session = requests.Session()
        self._session.trust_env = False

    def enter(self, *, register: bool = False) -> ManagerApi:
        """Log in, or register, and return itself."""
        body = {"username": self.account.username, "password": self.account.password}
        path = "/auth/register" if register else "/auth/login"
        self._session.headers.pop("Authorization", None)
        token = self.post(path, **body)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        return self

    def call(self, method: str, path: str, expect: int | None = None, **given: Any) -> Any:
        """Return the answer's JSON; it must be a success, or have the status that is expected."""
        answer = self._session.request(
            method, f"{self.url}/api/v1{path}", timeout=TIMEOUT_S, **given
        )
        well = answer.ok if expect is None else answer.status_code == expect
        assert well, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def get(self, path: str, **params: Any) -> Any:
        """GET."""
        return self.call("GET", path, params=params)

    def post(self, path: str, **body: Any) -> Any:
        """POST with a JSON body."""
        return self.call("POST", path, json=body)

    def ended(self, operation_id: str) -> dict[str, Any]:
        """Return an operation once it has ended: its stream ends then."""
        last: dict[str, Any] = {}
        for event in self._events(operation_id):
            last = event
        return last

    def _events(self, operation_id: str) -> Iterator[dict[str, Any]]:
        path = f"{self.url}/api/v1/operations/{operation_id}/events"
        with self._session.get(path, stream=True, timeout=TIMEOUT_S) as answer:
            for line in answer.iter_lines(decode_unicode=True):
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def done(self, accepted: dict[str, Any]) -> dict[str, Any]:
        """Return the operation that was begun, once it has succeeded."""
        operation = self.ended(accepted["operation"]["id"])
        assert operation["status"] == "succeeded", (operation["error"], operation["log"])
        return operation

    def deploy(self, catalog_id: str, hostname: str, version: str | None = None) -> dict[str, Any]:
        """Return an app that was deployed and runs."""
        asked = {"catalog_id": catalog_id, "hostname": hostname, "version": version}
        accepted = self.post("/apps/deploy", **asked)
        self.done(accepted)
        app: dict[str, Any] = self.get(f"/apps/{accepted['app']['id']}")
        return app

    def apps(self) -> dict[str, dict[str, Any]]:
        """Return the apps by id."""
        return {app["id"]: app for app in self.get("/apps", per_page=200)["apps"]}

    def backup_ids(self) -> set[int]:
        """Return the ids of all backups."""
        return {backup["id"] for backup in self.get("/backups", per_page=200)["backups"]}

    def remove_app(self, app_id: str) -> None:
        """Delete an app, once what goes on with it has ended."""
        app = self.apps().get(app_id)
        if app is None:
            return
        if app["operation_id"]:
            self.ended(app["operation_id"])
        if app_id in self.apps():  # a deployment that failed took its row with it
            self.done(self.call("DELETE", f"/apps/{app_id}"))

    def remove_backup(self, backup_id: int) -> None:
        """Delete a backup, protected or not."""
        self.call("PATCH", f"/backups/{backup_id}", json={"protected": False})
        self.call("DELETE", f"/backups/{backup_id}")
