"""Strict mocks: the class's own methods, parameters, asynchrony and result types, nothing else."""

from __future__ import annotations

import asyncio
import inspect
from typing import TypedDict

import pytest

from pytest_proxmox.errors import MockDrift, UnstubbedCall
from pytest_proxmox.mocks import strict_mock


class Task(TypedDict):
    task_id: str
    newid: int


class NetworkManager:
    wan_ip: str


class ProxmoxService:
    network_manager: NetworkManager

    def __init__(self) -> None:
        self.host = "pve"

    async def clone_lxc(self, node: str, vmid: int, *, name: str = "") -> Task:
        raise NotImplementedError("the mock stands for this")

    async def get_lxc_config(self, node: str, vmid: int) -> dict[str, str]:
        raise NotImplementedError("the mock stands for this")

    def nodes(self) -> list[str]:
        raise NotImplementedError("the mock stands for this")

    @staticmethod
    def default_node() -> str:
        return "pve"

    async def __aenter__(self) -> ProxmoxService:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


def test_stubbed_method_gives_its_result() -> None:
    mock = strict_mock(ProxmoxService, nodes=["pve"])

    assert mock.nodes() == ["pve"]


def test_async_method_is_async() -> None:
    mock = strict_mock(ProxmoxService, clone_lxc={"task_id": "UPID:pve:", "newid": 101})

    made = mock.clone_lxc("pve", 100)

    assert inspect.iscoroutine(made)
    assert asyncio.run(made)["newid"] == 101


def test_mock_is_an_instance_of_its_class() -> None:
    assert isinstance(strict_mock(ProxmoxService), ProxmoxService)


def test_unstubbed_call_says_what_to_stub() -> None:
    mock = strict_mock(ProxmoxService)

    with pytest.raises(UnstubbedCall, match=r"mock\.get_lxc_config\.returns"):
        mock.get_lxc_config("pve", 100)  # type: ignore[unused-coroutine]


def test_unstubbed_call_is_not_swallowed_by_a_broad_except() -> None:
    mock = strict_mock(ProxmoxService)

    def backup() -> object:
        try:
            return mock.nodes()
        except Exception:  # noqa: BLE001 - this is the code that hid the mistake
            return None

    with pytest.raises(UnstubbedCall):
        backup()


def test_wrong_arguments_are_refused() -> None:
    mock = strict_mock(ProxmoxService, clone_lxc={"task_id": "", "newid": 1})

    with pytest.raises(TypeError, match=r"clone_lxc.*vmid"):
        mock.clone_lxc("pve", source_vmid=100)  # type: ignore[call-arg, unused-coroutine]


@pytest.mark.parametrize(
    "stubs",
    [
        {"remove_vhost": None},
        {"clone_lxc": {"task": "UPID:pve:"}},
        {"clone_lxc": {"task_id": "UPID:pve:", "newid": "101"}},
        {"nodes": [{"node": "pve"}]},
        {"clone_lxc": lambda node, source_vmid: None},
    ],
    ids=["no such method", "missing key", "wrong type in it", "wrong item", "no such parameter"],
)
def test_drift_is_refused_when_it_is_stubbed(stubs: dict[str, object]) -> None:
    with pytest.raises(MockDrift):
        strict_mock(ProxmoxService, **stubs)


def test_drift_names_the_nearest_method() -> None:
    with pytest.raises(MockDrift, match="Did you mean 'get_lxc_config'"):
        strict_mock(ProxmoxService, get_config=None)


def test_result_of_a_function_is_checked() -> None:
    mock = strict_mock(ProxmoxService, nodes=lambda: "pve")

    with pytest.raises(MockDrift, match="is str, not list"):
        mock.nodes()


def test_later_and_narrower_stubs_win() -> None:
    mock = strict_mock(ProxmoxService, get_lxc_config={"hostname": "any"})
    mock.get_lxc_config.when(vmid=100).returns({"hostname": "one"})  # type: ignore[attr-defined]

    assert asyncio.run(mock.get_lxc_config("pve", 100)) == {"hostname": "one"}
    assert asyncio.run(mock.get_lxc_config("pve", 101)) == {"hostname": "any"}


def test_results_come_in_turn_and_the_last_one_stays() -> None:
    mock = strict_mock(ProxmoxService)
    mock.nodes.returns(["a"], ["b"])  # type: ignore[attr-defined]

    assert [mock.nodes(), mock.nodes(), mock.nodes()] == [["a"], ["b"], ["b"]]


def test_stubbed_error_is_raised_by_the_await() -> None:
    mock = strict_mock(ProxmoxService)
    mock.get_lxc_config.raises(OSError("no route"))  # type: ignore[attr-defined]

    with pytest.raises(OSError, match="no route"):
        asyncio.run(mock.get_lxc_config("pve", 100))


def test_calls_are_recorded_by_parameter() -> None:
    mock = strict_mock(ProxmoxService, nodes=[])
    mock.nodes()

    assert [dict(call.arguments) for call in mock.nodes.calls] == [{}]  # type: ignore[attr-defined]


def test_attribute_must_be_set_before_it_is_read() -> None:
    mock = strict_mock(ProxmoxService, host="pve2")

    assert mock.host == "pve2"
    with pytest.raises(UnstubbedCall, match="network_manager="):
        _ = mock.network_manager


def test_nested_mock_is_a_value_like_any() -> None:
    network = strict_mock(NetworkManager, wan_ip="192.0.2.1")
    mock = strict_mock(ProxmoxService, network_manager=network)

    assert mock.network_manager.wan_ip == "192.0.2.1"


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no 'vhosts'"):
        _ = strict_mock(ProxmoxService).vhosts  # type: ignore[attr-defined]


def test_context_manager_gives_the_mock_itself() -> None:
    mock = strict_mock(ProxmoxService, nodes=["pve"])

    async def use() -> list[str]:
        async with mock as service:
            return service.nodes()

    assert asyncio.run(use()) == ["pve"]


def test_static_method_takes_no_self() -> None:
    assert strict_mock(ProxmoxService, default_node="pve9").default_node() == "pve9"
