"""Answers kept as bytes for as long as nothing was committed, by any process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from pydantic_core import to_json

from src_app.db.store import Store, Work

MOST = 64  # a page of 200 apps has 120 KB


class Rendered:
    """Keeps the answers that were read last; the event loop's alone, so it needs no lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[Hashable, tuple[Hashable, bytes]] = OrderedDict()

    async def json(self, key: Hashable, read: Work[Any]) -> bytes:
        """Return what ``read`` finds as JSON, as it is in the database now.

        ``key`` must name all that ``read`` depends on.
        """
        mark = await self._store.amark()  # before reading: what comes meanwhile changes it again
        kept = self._kept.get(key)
        if kept is not None and mark is not None and kept[0] == mark:
            self._kept.move_to_end(key)
            return kept[1]
        body = await asyncio.to_thread(lambda: to_json(self._store.read(read)))
        self._kept[key] = (mark, body)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return body
