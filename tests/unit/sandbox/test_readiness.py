"""Readiness: what is waited for, until when, and what is said when it does not come."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_proxmox.clock import ManualClock
from pytest_proxmox.errors import InvalidValue, NotReady
from pytest_proxmox.sandbox.readiness import Conditions, wait_until
from pytest_proxmox.target import probe
from pytest_proxmox.target.calls import Calls
from pytest_proxmox.values import GuestRef, NodeName, Vmid
from tests.unit.sandbox.fake import FakeGuest, FakeProxmox

WHERE = GuestRef(Vmid(9000), "lxc", NodeName("pve"))


@dataclass
class Somebody:
    """A guest that is waited for; ``url`` comes and goes as the test likes."""

    url: str | None = "http://10.0.0.7"
    ref: GuestRef = WHERE


class Probes:
    """The answers of a network, by address, and what was asked."""

    def __init__(self, **answers: int | str) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.clock = ManualClock()
        self.ready_at = 0.0

    def http_status(self, url: str) -> int | str:
        """Answer a GET, once it is time."""
        self.asked.append(url)
        status = self.answers.get("status", 200)
        return status if self.clock.monotonic() >= self.ready_at else "no answer (ConnectionError)"

    def accepts(self, host: str, port: int) -> bool:
        """Accept a connection, once it is time."""
        self.asked.append(f"{host} {port}")
        return self.clock.monotonic() >= self.ready_at


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> Probes:
    """A network that answers everything at once."""
    probes = Probes()
    probes.clock = clock
    probes.ready_at = clock.monotonic()
    monkeypatch.setattr(probe, "http_status", probes.http_status)
    monkeypatch.setattr(probe, "accepts", probes.accepts)
    return probes


@pytest.fixture
def calls(proxmox: FakeProxmox, clock: ManualClock) -> Calls:
    """Calls to the fake, on the manual clock."""
    return Calls(proxmox, clock)


@pytest.mark.parametrize(
    ("conditions", "asked"),
    [
        (Conditions(http="/health"), "http://10.0.0.7/health"),
        (Conditions(http="health"), "http://10.0.0.7/health"),
        (Conditions(http="/health", port=8080), "http://10.0.0.7:8080/health"),
        (Conditions(http="http://other/x", port=8080), "http://other/x"),
        (Conditions(http="https://other/x"), "https://other/x"),
        (Conditions(port=22), "10.0.0.7 22"),
    ],
    ids=["path", "without slash", "path at a port", "http URL", "https URL", "port"],
)
def test_an_answer_is_looked_for_at(
    calls: Calls, probes: Probes, conditions: Conditions, asked: str
) -> None:
    began = calls.clock.monotonic()

    wait_until(Somebody(), calls, conditions, timeout_s=10)

    assert probes.asked == [asked]
    assert calls.clock.monotonic() == began


@pytest.mark.parametrize(
    ("status", "good"),
    [(200, True), (399, True), (199, False), (400, False), ("no answer in 5 s", False)],
    ids=["200", "399", "199", "400", "none"],
)
def test_a_good_status_is_from_200_to_399(
    calls: Calls, probes: Probes, status: int | str, good: bool
) -> None:
    probes.answers = {"status": status}
    (look,) = Conditions(http="/").looks(Somebody(), calls)

    assert look() == ("" if good else f"GET http://10.0.0.7/: {status}")


@pytest.mark.parametrize("conditions", [Conditions(http="/"), Conditions(port=80)], ids=repr)
def test_a_guest_without_an_address_is_not_asked(
    calls: Calls, probes: Probes, conditions: Conditions
) -> None:
    (look,) = conditions.looks(Somebody(url=None), calls)

    assert look() == "it has no address"
    assert probes.asked == []


def test_waiting_ends_when_the_guest_answers(calls: Calls, probes: Probes) -> None:
    began = calls.clock.monotonic()
    probes.ready_at = began + 1.2

    wait_until(Somebody(), calls, Conditions(port=80), timeout_s=10)

    assert calls.clock.monotonic() - began == pytest.approx(1.5)
    assert len(probes.asked) == 4


def test_waiting_ends_with_its_time_and_says_what_was_wrong(calls: Calls, probes: Probes) -> None:
    began = calls.clock.monotonic()
    probes.ready_at = began + 1e9

    with pytest.raises(NotReady, match=r"10\.0\.0\.7 port 80 is closed") as caught:
        wait_until(Somebody(), calls, Conditions(port=80), timeout_s=2.2)

    assert "9000" in str(caught.value)
    assert calls.clock.monotonic() - began == pytest.approx(2.2)
    assert len(probes.asked) == 6


def test_a_last_look_is_taken_when_the_time_is_up(calls: Calls, probes: Probes) -> None:
    began = calls.clock.monotonic()
    probes.ready_at = began + 2.1

    wait_until(Somebody(), calls, Conditions(http="/"), timeout_s=2.1)

    assert calls.clock.monotonic() - began == pytest.approx(2.1)


def test_all_conditions_hold_at_the_same_time(
    calls: Calls, probes: Probes, proxmox: FakeProxmox
) -> None:
    proxmox.plant(FakeGuest(9000), maker=proxmox.user)
    proxmox.tasks[0].log = ["booting", "service is up"]

    wait_until(Somebody(), calls, Conditions(http="/", log="is up$"), timeout_s=1)
    with pytest.raises(NotReady, match='"service is up" last, and "nothing like it" nowhere'):
        wait_until(Somebody(), calls, Conditions(http="/", log="nothing like it"), timeout_s=1)

    assert len(probes.asked) >= 2


def test_the_log_is_the_newest_tasks(calls: Calls, proxmox: FakeProxmox) -> None:
    proxmox.plant(FakeGuest(9000), kind="vzstart", maker=proxmox.user)
    proxmox.tasks[-1].log = ["old"]
    proxmox.now += 5
    proxmox.plant(FakeGuest(9000), maker=proxmox.user)
    proxmox.tasks[-1].log = ["new"]
    old, new = (Conditions(log=text).looks(Somebody(), calls)[0] for text in ("old", "new"))

    assert old() == 'the log of its vzcreate says "new" last, and "old" nowhere'
    assert new() == ""


def test_a_guest_without_tasks_has_no_log(calls: Calls) -> None:
    (look,) = Conditions(log="x").looks(Somebody(), calls)

    assert look() == "it has no task"


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (Conditions(), r"nothing to wait for at \S+9000.*Say http="),
        (Conditions(log="("), r'log="\(" is no regular expression.*re\.escape'),
    ],
    ids=["nothing", "no pattern"],
)
def test_a_condition_that_nothing_can_meet_is_refused(
    calls: Calls, conditions: Conditions, message: str
) -> None:
    with pytest.raises(InvalidValue, match=message):
        wait_until(Somebody(), calls, conditions, timeout_s=1)
