"""The sockets on which running guests answer: a loopback address for each.

Addresses are 127.x.y.z where the system has them (Linux), else 127.0.0.1 with a port for each
guest. A simulator claims its 127.x.y with a socket of its own, so two never share one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import secrets
import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pytest_proxmox.simulator import apps

if TYPE_CHECKING:
    from pytest_proxmox.simulator.simulator import Simulator

CLAIM_PORT: Final = 18006
FIRST_HOST: Final = 2
LAST_HOST: Final = 254
LOCALHOST: Final = "127.0.0.1"
TICK_S: Final = 0.05


class Network:
    """Hands out loopback addresses: one /24 of 127/8 to a simulator, more when it is full."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []
        self._prefix = ""
        self._next = LAST_HOST + 1
        self.shared = not _has_whole_loopback()

    def address(self) -> str:
        """Return an address that nobody else has; 127.0.0.1 where there is only that one."""
        if self.shared:
            return LOCALHOST
        if self._next > LAST_HOST:
            self._claim()
        self._next += 1
        return f"{self._prefix}.{self._next - 1}"

    def _claim(self) -> None:
        while True:
            prefix = f"127.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}"
            claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                claim.bind((f"{prefix}.1", CLAIM_PORT))
            except OSError:
                claim.close()
                continue
            self._claims.append(claim)
            self._prefix, self._next = prefix, FIRST_HOST
            return

    def close(self) -> None:
        """Give all addresses back."""
        for claim in self._claims:
            claim.close()


def _has_whole_loopback() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.64.0.1", 0))
        except OSError:
            return False
    return True


def answering(sim: Simulator) -> contextlib.AbstractContextManager[object]:
    """Return what lets the guests of this simulator answer while it is entered.

    Nothing is started for a world that declares no workloads and has no clock of its own.
    """
    needed = bool(sim.world.data["workloads"]) or sim.clock.mode == "real"
    return Workloads(sim) if needed else contextlib.nullcontext()


class Workloads:
    """Serves what the running guests serve, and stops when they stop; a context manager.

    Nothing listens in a world that declares no workloads.
    """

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._network = Network()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="pytest-proxmox-guests", daemon=True
        )
        self._serving: dict[int, tuple[apps.Workload, asyncio.Server]] = {}
        self._addresses: dict[int, str] = {}
        self._seen = -1
        self._ticker: concurrent.futures.Future[None] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._sim.workloads = self
        with self._sim.lock:
            self.sync()
        if self._sim.clock.mode == "real":
            self._ticker = asyncio.run_coroutine_threadsafe(self._tick(), self._loop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sim.workloads = None
        if self._ticker is not None:
            self._ticker.cancel()
        self._on_loop(self._stop_all())
        self._on_loop(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._network.close()

    def url(self, vmid: int) -> str | None:
        """Return where a guest answers, or None where it does not."""
        if vmid not in self._serving:
            return None
        host, port = self._serving[vmid][1].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    def address(self, vmid: int) -> str | None:
        """Return the address of a guest that serves something, or None."""
        return self._addresses.get(vmid) if vmid in self._serving else None

    def sync(self) -> None:
        """Serve for the guests that run now, and for no others. Call it with the lock held."""
        version = self._sim.state.guests.version
        if version == self._seen:
            return
        self._seen = version
        wanted: dict[int, apps.Workload] = {}
        for guest in self._sim.state.guests.values():
            workload = apps.workload_of(self._sim, guest) if guest.running else None
            if workload is not None:
                wanted[guest.vmid] = workload
        current = {vmid: workload for vmid, (workload, _) in self._serving.items()}
        if wanted != current:
            self._on_loop(self._change(wanted))

    def _on_loop(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _tick(self) -> None:
        """Let tasks end by themselves: with a real clock nobody needs to look at them."""
        while True:
            await asyncio.sleep(TICK_S)
            await asyncio.to_thread(self._sim.tick)

    async def _change(self, wanted: dict[int, apps.Workload]) -> None:
        for vmid in list(self._serving):
            if wanted.get(vmid) != self._serving[vmid][0]:
                await self._stop(vmid)
        for vmid, workload in wanted.items():
            if vmid not in self._serving:
                await self._start(vmid, workload)

    async def _start(self, vmid: int, workload: apps.Workload) -> None:
        host = self._addresses.setdefault(vmid, self._network.address())
        port = 0 if self._network.shared else workload.port

        from pytest_proxmox.simulator.guest_connection import GuestConnection  # few worlds need it

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await GuestConnection(self._sim, vmid, workload, reader, writer).run()

        self._serving[vmid] = (workload, await asyncio.start_server(serve, host, port))

    async def _stop(self, vmid: int) -> None:
        _, server = self._serving.pop(vmid)
        server.close()

    async def _stop_all(self) -> None:
        for vmid in list(self._serving):
            await self._stop(vmid)
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
