"""The nets: a reaper that knows its orders and a heartbeat, for as long as the run lasts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_proxmox.sandbox import nets
from pytest_proxmox.sandbox.ledger import Ledger
from pytest_proxmox.sandbox.reaper import GRACE_S, Orders
from pytest_proxmox.sandbox.sandbox import Sandbox
from pytest_proxmox.target.endpoint import Endpoint


class FakeNet:
    """A net that notes what it is made of, and when it is spread and taken in."""

    def __init__(self, said: list[object], name: str) -> None:
        self.said = said
        self.name = name

    def __call__(self, *made_of: object) -> FakeNet:
        """Be made."""
        self.said.append((self.name, *made_of))
        return self

    def __enter__(self) -> FakeNet:
        self.said.append(f"{self.name} in")
        return self

    def __exit__(self, *_: object) -> None:
        self.said.append(f"{self.name} out")


@pytest.mark.parametrize("ca_file", [None, Path("ca.pem")], ids=["no CA file", "a CA file"])
def test_both_nets_last_as_long_as_the_run(
    sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, ca_file: Path | None
) -> None:
    said: list[object] = []
    monkeypatch.setattr(nets, "Lifeline", FakeNet(said, "line"))
    monkeypatch.setattr(nets, "Heartbeat", FakeNet(said, "beat"))
    endpoint = Endpoint("pve", user="pt@pve", password="hunter2", ca_file=ca_file)

    with nets.spread(sandbox, endpoint, pool="pytest"):
        said.append("tests")

    kept = None if ca_file is None else Path.cwd() / "ca.pem"
    orders = Orders(
        endpoint=Endpoint("pve", user="pt@pve", password="hunter2", ca_file=kept),
        facts=sandbox.facts,
        ledger=ledger.path.parent,
        run="run-1",
        socket=Path(),
        pool="pytest",
        grace_s=GRACE_S,
    )
    assert said == [
        ("line", orders, ledger),
        "line in",
        ("beat", sandbox.ground),
        "beat in",
        "tests",
        "beat out",
        "line out",
    ]
