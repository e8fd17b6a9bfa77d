"""The canaries of fixtures: what their setup and teardown leave, of each scope."""

from __future__ import annotations

from tests.plugin.hygiene_canaries import Canary, _pair

FIXTURES = [
    *_pair(
        "fixture_setup",
        """
        @pytest.fixture
        def guest():
            fetch()  # HERE

        def test_it(guest):
            assert guest is None
        """,
        """
        @pytest.fixture
        def guest():
            return asyncio.run(fetch())

        def test_it(guest):
            assert guest
        """,
        outcome="setup",
    ),
    *_pair(
        "fixture_teardown",
        """
        @pytest.fixture
        def guest():
            yield
            fetch()  # HERE

        def test_it(guest):
            assert guest is None
        """,
        """
        @pytest.fixture
        def guest():
            yield
            asyncio.run(fetch())

        def test_it(guest):
            assert guest is None
        """,
        outcome="teardown",
    ),
    *_pair(
        "finalizer_of_a_test",
        """
        def test_it(request):
            request.addfinalizer(lambda: AsyncMock(spec=fetch)())  # HERE
        """,
        """
        def test_it(request):
            request.addfinalizer(lambda: asyncio.run(AsyncMock(spec=fetch)()))
        """,
        outcome="teardown",
    ),
    *_pair(
        "fixture_teardown_cycle",
        """
        @pytest.fixture
        def guest():
            yield
            ring = [fetch()]  # HERE
            ring.append(ring)

        def test_it(guest):
            assert guest is None
        """,
        """
        @pytest.fixture
        def guest():
            yield
            ring = [fetch()]
            ring.append(ring)
            ring[0].close()

        def test_it(guest):
            assert guest is None
        """,
        outcome="teardown",
    ),
    *_pair(
        "fixture_value",
        """
        @pytest.fixture
        def guest():
            return fetch()  # HERE

        def test_it(guest):
            assert guest
        """,
        """
        @pytest.fixture
        def guest():
            return fetch()

        def test_it(guest):
            assert asyncio.run(guest)
        """,
    ),
    *_pair(
        "fixture_holds",
        """
        @pytest.fixture
        def guest():
            made = fetch()  # HERE
            yield made
            del made

        def test_it(guest):
            assert guest
        """,
        """
        @pytest.fixture
        def guest():
            made = fetch()
            yield made
            asyncio.run(made)

        def test_it(guest):
            assert guest
        """,
    ),
    *_pair(
        "finaliser",
        """
        def test_it(request):
            made = fetch()  # HERE
            request.addfinalizer(lambda: made)
        """,
        """
        def test_it(request):
            made = fetch()
            request.addfinalizer(made.close)
        """,
    ),
    *_pair(
        "async_fixture_setup",
        """
        @pytest_asyncio.fixture
        async def guest():
            fetch()  # HERE
            return 1

        @pytest.mark.asyncio
        async def test_it(guest):
            assert guest
        """,
        """
        @pytest_asyncio.fixture
        async def guest():
            return await fetch()

        @pytest.mark.asyncio
        async def test_it(guest):
            assert guest
        """,
        outcome="setup",
    ),
    *_pair(
        "async_fixture_teardown",
        """
        @pytest_asyncio.fixture
        async def guest():
            yield 1
            fetch()  # HERE

        @pytest.mark.asyncio
        async def test_it(guest):
            assert guest
        """,
        """
        @pytest_asyncio.fixture
        async def guest():
            yield 1
            await fetch()

        @pytest.mark.asyncio
        async def test_it(guest):
            assert guest
        """,
        outcome="teardown",
    ),
    *_pair(
        "module_fixture",
        """
        @pytest.fixture(scope="module")
        def guest():
            fetch()  # HERE

        def test_it(guest):
            assert guest is None
        """,
        """
        @pytest.fixture(scope="module")
        def guest():
            made = fetch()
            yield
            asyncio.run(made)

        def test_it(guest):
            assert guest is None

        def test_next(guest):
            assert guest is None
        """,
        outcome="setup",
    ),
    *_pair(
        "module_fixture_teardown",
        """
        @pytest.fixture(scope="module")
        def guest():
            made = fetch()  # HERE
            yield
            del made

        def test_it(guest):
            assert guest is None
        """,
        """
        @pytest.fixture(scope="module")
        def guest():
            return [fetch()]

        def test_it(guest):
            assert asyncio.run(guest[0])
        """,
        outcome="teardown",
    ),
    Canary(
        "report_is_seen_by_fixture",
        """
        @pytest.fixture
        def guest(request):
            made = fetch()
            yield
            made.close()
            assert request.node.stash[request.config.phases]["call"].passed

        def test_it(guest):
            assert guest is None
        """,
        "passed",
    ),
    Canary(
        "output_of_early_teardown",
        """
        @pytest.fixture
        def guest():
            made = fetch()
            yield
            made.close()
            raise OSError("the teardown's own trouble")

        def test_it(guest):
            assert guest is None
        """,
        "teardown",
    ),
    Canary(
        "fixture_named_like_a_runner",
        """
        @pytest.fixture
        def my_scoped_runner(): return "no loop of mine"

        @pytest.mark.asyncio
        async def test_it(my_scoped_runner):
            await fetch()
        """,
        "passed",
    ),
]
