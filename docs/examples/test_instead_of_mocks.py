"""A mock of the Proxmox client, and what replaces it."""

from unittest.mock import MagicMock

import pytest
from deployer import deploy

from pytest_proxmox.errors import MockDrift
from pytest_proxmox.mocks import strict_mock


class Mailer:
    """Something beside Proxmox that a test still wants to replace."""

    def send(self, to: str) -> bool:
        raise NotImplementedError


def test_before_a_mock_agrees_with_everything():
    proxmox = MagicMock()
    answer = proxmox.nodes("pve").lxc.post(vmid="not a number", no_such_parameter=1)
    assert answer  # no Proxmox would have taken that


def test_after_the_embedded_proxmox_answers(proxmox, proxmox_target, vmid):
    facts = proxmox_target
    deploy(proxmox, facts.node, vmid, facts.template, facts.storage)
    status = proxmox.nodes(facts.node).lxc(vmid).status.current.get()
    assert status["status"] == "running"


def test_a_strict_mock_has_the_methods_of_its_class_only():
    mailer = strict_mock(Mailer, send=True)
    assert mailer.send("ada@example.org")
    with pytest.raises(MockDrift):
        strict_mock(Mailer, deliver=True)
