"""Under which address others reach the apps that this manager shows."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Appliance:
    """The machine that the apps are shown on."""

    wan_ip: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class NetworkManager:
    """What is known about the way from a browser to an app."""

    appliance_info: Appliance = field(default_factory=Appliance)
