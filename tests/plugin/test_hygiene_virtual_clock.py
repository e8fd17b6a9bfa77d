"""The virtual clock: what waits, does not."""

from __future__ import annotations

import time

import pytest

POLLER = """
    import time
    from time import sleep, monotonic


    def wait(ready, patience):
        deadline = time.monotonic() + patience
        while not ready():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(5)


    def nap():
        began = monotonic()
        sleep(3600)
        return monotonic() - began
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_async_sleeps_and_timeouts_take_no_time(pytester: pytest.Pytester, mode: str) -> None:
    pytester.makepyfile(
        """
        import asyncio
        import pytest


        @pytest.mark.asyncio
        async def test_sleep(virtual_clock):
            await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(7200))
            assert 7200 <= virtual_clock.elapsed_s < 7201


        @pytest.mark.asyncio
        async def test_timeout(virtual_clock):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(600):
                    await asyncio.Event().wait()


        def test_own_loop(virtual_clock):
            asyncio.run(asyncio.sleep(600))
            assert virtual_clock.elapsed_s >= 600
        """
    )
    began = time.monotonic()

    pytester.runpytest_subprocess(f"--asyncio-mode={mode}").assert_outcomes(passed=3)

    assert time.monotonic() - began < 60


def test_chosen_modules_follow_the_clock(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nvirtual_clock_modules = poller\npythonpath = .\n")
    pytester.makepyfile(
        poller=POLLER,
        test_poller="""
        import pytest, poller, time


        def test_poller_times_out(virtual_clock):
            with pytest.raises(TimeoutError):
                poller.wait(lambda: False, 600)
            assert virtual_clock.sleeps == [5] * 121


        def test_imported_names_follow(virtual_clock):
            assert poller.nap() >= 3600


        def test_time_is_real_again():
            assert poller.time is time
        """,
    )

    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_module_without_time_is_a_usage_mistake(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import json


        def test_it(virtual_clock):
            virtual_clock.use_in(json)
        """
    )

    result = pytester.runpytest_subprocess()

    result.stdout.fnmatch_lines(['*module "json" does not use time*'])


def test_an_answer_under_way_is_not_overtaken(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        import hashlib
        import pytest


        @pytest.mark.asyncio
        async def test_server(virtual_clock):
            async def answer(reader, writer):
                writer.write(await reader.readline())
                writer.close()

            async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"hello\\n")
                async with asyncio.timeout(5):
                    assert await reader.readline() == b"hello\\n"
                writer.close()
                await writer.wait_closed()


        @pytest.mark.asyncio
        async def test_worker(virtual_clock):
            async with asyncio.timeout(1):
                work = asyncio.to_thread(hashlib.pbkdf2_hmac, "sha256", b"a", b"b", 200_000)
                assert len(await work) == 32
        """
    )

    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_a_poller_that_never_ends_is_stopped(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        import pytest


        @pytest.mark.asyncio
        async def test_it(virtual_clock):
            while True:
                await asyncio.sleep(3600)
        """
    )

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*virtual seconds have passed and the code under test still*"])
