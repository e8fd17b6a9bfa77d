"""What every part of the service shares: the connection, the claims, and how a task is run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any

from src_app.clock import Clock, SystemClock
from src_app.proxmox.connection import Connection, Watch, unwatched
from src_app.proxmox.endpoint import ConnectArguments, resolve
from src_app.proxmox.errors import (
    LoginRefused,
    NotConnected,
    OutcomeUnknown,
    ProxmoxError,
    RequestFailed,
    Unreachable,
    VmidTaken,
)
from src_app.proxmox.ownership import Claim, Claims
from src_app.proxmox.removal import Remover
from src_app.proxmox.tasks import (
    DEFAULT_TIMEOUT_S,
    TaskOutcome,
    TaskWatch,
    Upid,
    demand_success,
)


class Session:
    """A login at one Proxmox, and the guests made through it.

    Calls to Proxmox run on a worker thread, so the event loop stays free; waits for tasks
    are waits of the event loop, so they can be cancelled.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        claims: Claims | None = None,
        watch: Watch = unwatched,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._clock = SystemClock() if clock is None else clock
        self._claims = Claims() if claims is None else claims
        self._watch_calls = watch
        self._connection: Connection | None = None

    def connect(
        self,
        host: str | None = None,
        user: str | None = None,
        password: str | None = None,
        verify_ssl: bool | str | None = None,  # noqa: FBT001 - the plan's own signature
        port: int | str | None = None,
        token_name: str | None = None,
        token_value: str | None = None,
        **options: Any,
    ) -> None:
        """Log in, and raise at once where that does not work.

        What is not given comes from ``PROXMOX_HOST``, ``_PORT``, ``_USER``, ``_PASSWORD``,
        ``_TOKEN_NAME``, ``_TOKEN_VALUE`` and ``_VERIFY_SSL``. The port of ``host:port`` wins
        over the argument, that over ``PROXMOX_PORT``, and 8006 is the last resort.
        ``verify_ssl`` may be the path of a CA's file. ``options`` go to ``ProxmoxAPI``.

        Raises:
            SettingError: host or secret is missing, or a value cannot be used.
            Unreachable: nothing answers there, or not as a Proxmox does.
            LoginRefused: the password or token is wrong.
        """
        arguments = ConnectArguments(
            host, user, password, verify_ssl, port, token_name, token_value
        )
        connection = Connection(
            resolve(arguments, self._environ), options=options, watch=self._watch_calls
        )
        connection.open()
        self._connection = connection

    async def test_connection(self) -> bool:
        """Return whether Proxmox answers and still accepts the login."""
        try:
            await self._get("/version")
        except (Unreachable, LoginRefused):
            return False
        return True

    async def wait_for_task(
        self,
        node: str,
        task_id: str,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        *,
        allow_warnings: bool = False,
    ) -> TaskOutcome:
        """Return how the task ended.

        Raises:
            TaskFailed: it ended with an error, or with warnings that are not allowed.
            TaskTimeout: it still runs after ``timeout_s`` seconds; it is not stopped.
        """
        upid = Upid.parse(task_id)
        doing = f"task {upid.type} of guest {upid.id} on node {node}"
        return await self._finish(
            upid, doing=doing, timeout_s=timeout_s, allow_warnings=allow_warnings
        )

    def _api(self) -> Connection:
        if self._connection is None:
            raise NotConnected.before("this method")
        return self._connection

    def _watch(self) -> TaskWatch:
        return TaskWatch(self._api(), self._clock)

    def _remover(self) -> Remover:
        return Remover(self._api(), self._watch(), self._claims)

    async def _get(self, path: str, **params: Any) -> Any:
        return await asyncio.to_thread(self._api().get, path, **params)

    async def _finish(
        self,
        upid: Upid,
        *,
        doing: str,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        allow_warnings: bool = False,
    ) -> TaskOutcome:
        outcome = await self._watch().ended(upid, timeout_s=timeout_s)
        demand_success(outcome, doing=doing, allow_warnings=allow_warnings)
        return outcome

    async def _run(self, send: Callable[[], object], *, doing: str) -> Upid:
        """Return the id of the task that ``send`` started, once that task ended clean."""
        upid = Upid.parse(await asyncio.to_thread(send))
        await self._finish(upid, doing=doing)
        return upid

    async def _make(self, claim: Claim, path: str, parameters: Mapping[str, Any]) -> Upid:
        """Return the id of the task that makes a guest, with the guest claimed beforehand.

        The POST and the entry of its UPID are one step of one thread: a cancelled caller
        cannot come between them.
        """
        return await asyncio.to_thread(self._claim_and_post, claim, path, parameters)

    def _claim_and_post(self, claim: Claim, path: str, parameters: Mapping[str, Any]) -> Upid:
        self._stake(claim)
        try:
            upid = Upid.parse(self._api().post(path, **parameters))
        except OutcomeUnknown:
            raise  # it may have run: the claim stays, and clean-up will look
        except ProxmoxError as exc:
            self._claims.refuse(claim, because=exc.what)
            if type(exc) is RequestFailed and not self._remover().is_free(claim.vmid):
                raise VmidTaken(claim.vmid, reason=exc.reason) from exc
            raise
        self._claims.confirm(claim, upid)
        return upid

    def _stake(self, claim: Claim) -> None:
        """Claim the VMID, if need be in place of a guest of ours that is gone."""
        older = self._claims.get(claim.vmid)
        if older is not None and older.upid is not None and self._remover().is_free(claim.vmid):
            self._claims.drop(older)
        if not self._claims.stake(claim):
            raise VmidTaken(claim.vmid, reason="not asked; this service made, or makes, that guest")

    async def _forget_failed(self, claim: Claim) -> None:
        """Drop the claim of a guest whose task failed, if Proxmox left nothing of it."""
        await asyncio.to_thread(self._drop_if_free, claim.vmid)

    def _drop_if_free(self, vmid: int) -> None:
        if self._remover().is_free(vmid):
            self._claims.drop(self._claims.get(vmid))
