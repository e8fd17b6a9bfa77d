"""The canaries: each way to leave something behind, next to its innocent twin.

A canary is a module of its own; the test that is judged is ``test_it``. In an offence, the line
that the verdict must name carries ``# HERE``. ``outcome`` says which report the offence fails:
its own call, or its setup or teardown where a fixture did it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

PRELUDE = """\
import asyncio, contextlib, functools, gc, os, socket, subprocess, sys, threading, unittest
import warnings
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import AsyncMock
import pytest, pytest_asyncio
import app

KEPT = []
CHILD = [sys.executable, "-c", "import sys; sys.stdin.read()"]


async def fetch(): return {"rootfs": "local:8"}


"""

APP = """\
state = {"deployments": 0}


class Registry:
    instance = None
"""


@dataclass(frozen=True)
class Canary:
    """One module, the outcome of its ``test_it``, and whether its line must be named."""

    name: str
    source: str
    outcome: str

    @property
    def text(self) -> str:
        """The whole module."""
        return PRELUDE + dedent(self.source).strip() + "\n"

    @property
    def line(self) -> int | None:
        """The number of the line to blame, None where there is none."""
        lines = self.text.splitlines()
        return next((n for n, line in enumerate(lines, 1) if line.endswith("# HERE")), None)


def _pair(name: str, offence: str, innocent: str, outcome: str = "failed") -> list[Canary]:
    return [
        Canary(f"{name}_offence", offence, outcome),
        Canary(f"{name}_innocent", innocent, "passed"),
    ]


COROUTINES = [
    *_pair(
        "plain",
        """
        def test_it():
            fetch()  # HERE
        """,
        """
        def test_it():
            asyncio.run(fetch())
        """,
    ),
    *_pair(
        "closed",
        """
        def test_it():
            made = fetch()  # HERE
            assert made.__name__ == "fetch"
        """,
        """
        def test_it():
            made = fetch()
            made.close()
        """,
    ),
    *_pair(
        "cycle",
        """
        def test_it():
            ring = [fetch()]  # HERE
            ring.append(ring)
        """,
        """
        def test_it():
            ring = [fetch()]
            ring.append(ring)
            asyncio.run(ring[0])
        """,
    ),
    *_pair(
        "collected_cycle",
        """
        def test_it():
            ring = [fetch()]  # HERE
            ring.append(ring)
            del ring
            gc.collect()
        """,
        """
        def test_it():
            made = fetch()
            gc.collect()
            asyncio.run(made)
        """,
    ),
    *_pair(
        "promoted_cycle",
        """
        def test_it():
            ring = [fetch()]  # HERE
            ring.append(ring)
            gc.collect()
            gc.collect()
            del ring
        """,
        """
        def test_it():
            ring = [fetch()]
            ring.append(ring)
            gc.collect()
            gc.collect()
            ring[0].close()
        """,
    ),
    *_pair(
        "global",
        """
        def test_it():
            KEPT.append(fetch())  # HERE

        def test_next():
            KEPT.clear()
        """,
        """
        def test_it():
            KEPT.append(fetch())
            asyncio.run(KEPT.pop())
        """,
    ),
    *_pair(
        "class_attribute",
        """
        class Cache:
            pass

        def test_it():
            Cache.pending = fetch()  # HERE
        """,
        """
        class Cache:
            pass

        def test_it():
            Cache.pending = fetch()
            asyncio.run(Cache.pending)
        """,
    ),
    *_pair(
        "closure",
        """
        def test_it():
            made = fetch()  # HERE
            KEPT.append(lambda: made)
        """,
        """
        def test_it():
            made = fetch()
            KEPT.append(lambda: made)
            asyncio.run(KEPT[0]())
        """,
    ),
    *_pair(
        "swallowed",
        """
        def test_it():
            try:
                rootfs = fetch().get("rootfs")  # HERE
            except Exception:
                rootfs = None
            assert rootfs is None
        """,
        """
        def test_it():
            assert asyncio.run(fetch()).get("rootfs")
        """,
    ),
    *_pair(
        "async_mock",
        """
        def test_it():
            service = AsyncMock()
            service.get_lxc_config(node="pve")  # HERE
        """,
        """
        def test_it():
            service = AsyncMock()
            asyncio.run(service.get_lxc_config(node="pve"))
        """,
    ),
    *_pair(
        "async_mock_in_an_async_test",
        """
        @pytest.mark.asyncio
        async def test_it():
            service = AsyncMock()
            service.get_lxc_config(node="pve")  # HERE
        """,
        """
        @pytest.mark.asyncio
        async def test_it():
            service = AsyncMock()
            await service.get_lxc_config(node="pve")
        """,
    ),
    *_pair(
        "async_mock_of_a_mock",
        """
        async def backup(service):
            config = await service.get_lxc_config()
            try:
                return config.get("rootfs").split(":")  # HERE
            except Exception:
                return None

        def test_it():
            assert asyncio.run(backup(AsyncMock())) is None
        """,
        """
        async def backup(service):
            config = await service.get_lxc_config()
            return config.get("rootfs").split(":")

        def test_it():
            service = AsyncMock()
            service.get_lxc_config.return_value = {"rootfs": "local:8"}
            assert asyncio.run(backup(service)) == ["local", "8"]
        """,
    ),
    *_pair(
        "comprehension",
        """
        def test_it():
            assert len([fetch() for _ in range(3)]) == 3  # HERE
        """,
        """
        def test_it():
            async def main():
                return await asyncio.gather(*[fetch() for _ in range(3)])

            assert len(asyncio.run(main())) == 3
        """,
    ),
    *_pair(
        "exit_stack",
        """
        def test_it():
            stack = contextlib.ExitStack()
            stack.callback(fetch)  # an async function where a plain one belongs
            stack.close()  # HERE
        """,
        """
        def test_it():
            async def main():
                async with contextlib.AsyncExitStack() as stack:
                    stack.push_async_callback(fetch)

            asyncio.run(main())
        """,
    ),
    *_pair(
        "thread",
        """
        def work():
            fetch()  # HERE

        def test_it():
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        """,
        """
        def work():
            asyncio.run(fetch())

        def test_it():
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        """,
    ),
    *_pair(
        "kept_by_thread",
        """
        def work():
            KEPT.append(fetch())  # HERE

        def test_it():
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        """,
        """
        def work():
            KEPT.append(fetch())

        def test_it():
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            asyncio.run(KEPT.pop())
        """,
    ),
    *_pair(
        "asyncio",
        """
        @pytest.mark.asyncio
        async def test_it():
            fetch()  # HERE
            await asyncio.sleep(0)
        """,
        """
        @pytest.mark.asyncio
        async def test_it():
            assert await fetch()
        """,
    ),
    *_pair(
        "asyncio_module_loop",
        """
        @pytest.mark.asyncio(loop_scope="module")
        async def test_it():
            KEPT.append(fetch())  # HERE

        @pytest.mark.asyncio(loop_scope="module")
        async def test_next():
            KEPT.clear()
        """,
        """
        @pytest.mark.asyncio(loop_scope="module")
        async def test_it():
            KEPT.append(fetch())
            await KEPT.pop()
        """,
    ),
    *_pair(
        "anyio",
        """
        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it():
            fetch()  # HERE
        """,
        """
        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it():
            assert await fetch()
        """,
    ),
    *_pair(
        "method",
        """
        class TestIt:
            def setup_method(self):
                self.made = fetch()  # HERE

            def test_it(self):
                assert self.made
        """,
        """
        class TestIt:
            def setup_method(self):
                self.made = fetch()

            def test_it(self):
                assert asyncio.run(self.made)
        """,
    ),
    *_pair(
        "unittest",
        """
        class It(unittest.TestCase):
            def test_it(self):
                fetch()  # HERE
        """,
        """
        class It(unittest.TestCase):
            def test_it(self):
                asyncio.run(fetch())
        """,
    ),
    *_pair(
        "isolated_asyncio",
        """
        class It(unittest.IsolatedAsyncioTestCase):
            async def test_it(self):
                fetch()  # HERE
        """,
        """
        class It(unittest.IsolatedAsyncioTestCase):
            async def test_it(self):
                await fetch()
        """,
    ),
    *_pair(
        "queue",
        """
        def test_it():
            jobs = asyncio.Queue()
            jobs.put_nowait(fetch())  # HERE
            KEPT.append(jobs)
        """,
        """
        def test_it():
            async def main():
                jobs = asyncio.Queue()
                jobs.put_nowait(fetch())
                return await jobs.get_nowait()

            asyncio.run(main())
        """,
    ),
    *_pair(
        "unstarted_task",
        """
        def test_it():
            loop = asyncio.new_event_loop()
            loop.call_soon(loop.create_task, fetch())  # HERE
            loop.close()
        """,
        """
        @pytest.mark.asyncio
        async def test_it():
            task = asyncio.create_task(fetch())
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        """,
    ),
    *_pair(
        "other_warning_expected",
        """
        def test_it():
            with pytest.warns(DeprecationWarning):
                warnings.warn("old", DeprecationWarning)
                fetch()  # HERE
        """,
        """
        def test_it():
            with pytest.warns(RuntimeWarning, match="never awaited"):
                fetch()
        """,
    ),
    *_pair(
        "ignored_in_code",
        """
        def test_it():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fetch()  # HERE
        """,
        """
        def test_it():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                fetch()
            assert len(caught) == 1
        """,
    ),
    *_pair(
        "ignored_by_mark",
        """
        @pytest.mark.filterwarnings("ignore")
        def test_it():
            fetch()  # HERE
        """,
        """
        @pytest.mark.allow_leaks("coroutine:fetch", reason="this canary wants it")
        @pytest.mark.filterwarnings("ignore")
        def test_it():
            fetch()
        """,
    ),
    *_pair(
        "one_parameter",
        """
        @pytest.mark.parametrize("forgets", [True], ids=["forgets"])
        def test_it(forgets):
            made = fetch()  # HERE
            if not forgets:
                asyncio.run(made)
        """,
        """
        @pytest.mark.parametrize("forgets", [False], ids=["awaits"])
        def test_it(forgets):
            made = fetch()
            if not forgets:
                asyncio.run(made)
        """,
    ),
    Canary(
        "known_offence",
        """
        @pytest.mark.xfail(reason="known", strict=True)
        def test_it():
            fetch()
        """,
        "xfailed",
    ),
    Canary(
        "failed_anyway",
        """
        def test_it():
            fetch()
            assert False, "its own reason"
        """,
        "failed",
    ),
    Canary(
        "skipped_anyway",
        """
        def test_it():
            KEPT.append(fetch())
            pytest.skip("not here")
        """,
        "skipped",
    ),
]
