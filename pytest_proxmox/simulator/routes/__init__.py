"""The API by family: each module offers one ``Family`` of handlers and workers."""

from __future__ import annotations

from typing import Final

from pytest_proxmox.simulator.family import Family

FAMILIES: Final[tuple[Family, ...]] = ()
