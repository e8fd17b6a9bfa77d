"""Stubs that a class has outgrown, found in a module's source."""

from __future__ import annotations

import ast
from unittest.mock import AsyncMock, create_autospec

import pytest

from pytest_proxmox.hygiene.drift import findings, mocked_by_fixtures
from pytest_proxmox.mocks import strict_mock


class Proxy:
    """What is mocked."""

    hosts_file = "/etc/hosts"

    def __init__(self) -> None:
        self.opened = False

    async def delete_vhost(self, name: str) -> bool:
        raise NotImplementedError

    def anything(self, **options: str) -> None:
        raise NotImplementedError


NAMES = {
    "Proxy": Proxy,
    "strict_mock": strict_mock,
    "AsyncMock": AsyncMock,
    "create_autospec": create_autospec,
}
DRIFTED = {
    "method": "mock = strict_mock(Proxy)\n    mock.remove_vhost.returns(True)",
    "given": "strict_mock(Proxy, remove_vhost=True)",
    "parameter": "mock = strict_mock(Proxy)\n    mock.delete_vhost.when(host=1)",
    "function": "mock = strict_mock(Proxy)\n    mock.delete_vhost.does(lambda host: True)",
    "spec": "mock = AsyncMock(spec=Proxy)\n    mock.remove_vhost = 1",
    "autospec": "mock = create_autospec(Proxy)\n    mock.remove_vhost.return_value = 1",
}
FITTING = {
    "method": "mock = strict_mock(Proxy)\n    mock.delete_vhost.when(name='a').returns(True)",
    "attribute": "mock = strict_mock(Proxy)\n    mock.opened = mock.hosts_file",
    "any-parameter": "mock = strict_mock(Proxy)\n    mock.anything.when(colour='red')",
    "mock's-own": "mock = AsyncMock(spec=Proxy)\n    mock.reset_mock()",
    "on-purpose": (
        "mock = strict_mock(Proxy)\n    with pytest.raises(AttributeError):\n        mock.gone()"
    ),
    "unknown-class": "mock = strict_mock(Elsewhere)\n    mock.gone()",
}


def told(body: str) -> list[str]:
    return [one.text for one in findings(f"def test_it():\n    {body}\n", NAMES, {})]


@pytest.mark.parametrize("body", DRIFTED.values(), ids=DRIFTED)
def test_stub_that_the_class_has_outgrown_is_found(body: str) -> None:
    (text,) = told(body)

    assert "has no" in text


@pytest.mark.parametrize("body", FITTING.values(), ids=FITTING)
def test_stub_that_fits_is_let_pass(body: str) -> None:
    assert told(body) == []


def test_mock_of_a_fixture_elsewhere_is_known_by_its_name() -> None:
    source = "def test_it(proxy):\n    proxy.remove_vhost.returns(True)\n"

    assert [one.line for one in findings(source, {}, {"proxy": Proxy})] == [2]
    assert findings(source, {}, {}) == []


def test_fixtures_tell_which_class_they_mock() -> None:
    source = """
@pytest.fixture
def returned():
    return strict_mock(Proxy)

@pytest.fixture
def yielded():
    mock = create_autospec(Proxy)
    yield mock

def no_fixture():
    return strict_mock(Proxy)
"""

    assert mocked_by_fixtures(ast.parse(source), NAMES) == {"returned": Proxy, "yielded": Proxy}
