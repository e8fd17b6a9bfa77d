"""The canaries of leaks: tasks, threads, processes, sockets, surroundings, singletons."""

from __future__ import annotations

from tests.plugin.hygiene_canaries import Canary, _pair

LEAKS = [
    *_pair(
        "task",
        """
        @pytest.mark.asyncio
        async def test_it():
            asyncio.create_task(asyncio.sleep(60))  # HERE
            await asyncio.sleep(0)
        """,
        """
        @pytest.mark.asyncio
        async def test_it():
            task = asyncio.create_task(asyncio.sleep(60))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        """,
    ),
    *_pair(
        "gather",
        """
        @pytest.mark.asyncio
        async def test_it():
            KEPT.append(asyncio.gather(asyncio.sleep(60)))  # HERE
        """,
        """
        @pytest.mark.asyncio
        async def test_it():
            assert await asyncio.gather(fetch(), fetch())
        """,
    ),
    *_pair(
        "task_of_fixture",
        """
        @pytest_asyncio.fixture
        async def poller():
            yield asyncio.create_task(asyncio.sleep(60))  # HERE

        @pytest.mark.asyncio
        async def test_it(poller):
            await asyncio.sleep(0)
        """,
        """
        @pytest_asyncio.fixture
        async def poller():
            task = asyncio.create_task(asyncio.sleep(60))
            yield task
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        @pytest.mark.asyncio
        async def test_it(poller):
            await asyncio.sleep(0)
        """,
    ),
    *_pair(
        "task_on_module_loop",
        """
        @pytest.mark.asyncio(loop_scope="module")
        async def test_it():
            KEPT.append(asyncio.create_task(asyncio.sleep(60)))  # HERE
            await asyncio.sleep(0)

        @pytest.mark.asyncio(loop_scope="module")
        async def test_next():
            for kept in KEPT:
                kept.cancel()
        """,
        """
        @pytest_asyncio.fixture(scope="module", loop_scope="module")
        async def poller():
            task = asyncio.create_task(asyncio.sleep(60))
            yield task
            task.cancel()

        @pytest.mark.asyncio(loop_scope="module")
        async def test_it(poller):
            await asyncio.sleep(0)

        @pytest.mark.asyncio(loop_scope="module")
        async def test_next(poller):
            await asyncio.sleep(0)
        """,
    ),
    *_pair(
        "task_of_anyio_test",
        """
        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it():
            KEPT.append(asyncio.create_task(asyncio.sleep(60)))  # HERE
            await asyncio.sleep(0)
        """,
        """
        import anyio

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it():
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 60)
                group.cancel_scope.cancel()
        """,
    ),
    *_pair(
        "task_of_isolated_asyncio",
        """
        class It(unittest.IsolatedAsyncioTestCase):
            async def test_it(self):
                KEPT.append(asyncio.create_task(asyncio.sleep(60)))  # HERE
        """,
        """
        def test_it():
            async def main():
                asyncio.create_task(asyncio.sleep(60))

            asyncio.run(main())  # cancels what is left, by contract
        """,
    ),
    *_pair(
        "thread_left",
        """
        def test_it():
            threading.Thread(target=threading.Event().wait, args=(20,), daemon=True).start()  # HERE
        """,
        """
        def test_it():
            stop = threading.Event()
            thread = threading.Thread(target=stop.wait, args=(20,))
            thread.start()
            stop.set()
            thread.join()
        """,
    ),
    *_pair(
        "thread_of_fixture",
        """
        @pytest.fixture
        def server():
            stop = threading.Event()
            threading.Thread(target=stop.wait, args=(20,), daemon=True).start()  # HERE
            yield stop

        def test_it(server):
            assert server
        """,
        """
        @pytest.fixture
        def server():
            stop = threading.Event()
            threading.Thread(target=stop.wait, args=(20,), daemon=True).start()
            yield stop
            stop.set()

        def test_it(server):
            assert server
        """,
    ),
    *_pair(
        "timer",
        """
        def test_it():
            timer = threading.Timer(20, print)
            timer.daemon = True
            timer.start()  # HERE
        """,
        """
        def test_it():
            timer = threading.Timer(20, print)
            timer.start()
            timer.cancel()
        """,
    ),
    *_pair(
        "pool",
        """
        def test_it():
            KEPT.append(ThreadPoolExecutor(1))
            assert KEPT[0].submit(int).result() == 0  # HERE
        """,
        """
        def test_it():
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(int).result() == 0
        """,
    ),
    *_pair(
        "pool_worker",
        """
        def test_it():
            pool = ThreadPoolExecutor(2)
            KEPT.append(pool)
            assert list(pool.map(int, "12")) == [1, 2]  # HERE
        """,
        """
        POOL = ThreadPoolExecutor(1)  # the module's own, for as long as it lives

        def test_it():
            assert POOL.submit(int).result() == 0
        """,
    ),
    *_pair(
        "thread_of_thread",
        """
        def work():
            threading.Thread(target=threading.Event().wait, args=(20,), daemon=True).start()  # HERE

        def test_it():
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        """,
        """
        @pytest.fixture(scope="module")
        def server():
            jobs, stop = __import__("queue").Queue(), threading.Event()
            def serve():
                while (job := jobs.get()) is not None:
                    threading.Thread(target=job, args=(20,), daemon=True).start()
            thread = threading.Thread(target=serve)
            thread.start()
            yield jobs, stop
            stop.set()
            jobs.put(None)
            thread.join()

        def test_it(server):
            jobs, stop = server
            jobs.put(stop.wait)

        def test_next(server):
            assert server
        """,
    ),
    *_pair(
        "thread_work",
        """
        @pytest.mark.asyncio
        async def test_it():
            threading.Thread(target=threading.Event().wait, args=(20,), daemon=True).start()  # HERE
        """,
        """
        @pytest.mark.asyncio(loop_scope="module")
        async def test_it():
            assert await asyncio.to_thread(int) == 0

        @pytest.mark.asyncio(loop_scope="module")
        async def test_next():
            assert await asyncio.to_thread(int) == 0
        """,
    ),
    *_pair(
        "process",
        """
        def test_it():
            KEPT.append(subprocess.Popen(CHILD, stdin=subprocess.PIPE))  # HERE

        def test_next():
            for kept in KEPT:
                kept.communicate()
        """,
        """
        def test_it():
            child = subprocess.Popen(CHILD, stdin=subprocess.PIPE)
            child.communicate()
        """,
    ),
    *_pair(
        "async_process",
        """
        @pytest.mark.asyncio(loop_scope="module")
        async def test_it():
            child = await asyncio.create_subprocess_exec(*CHILD, stdin=subprocess.PIPE)  # HERE
            KEPT.append(child)

        @pytest.mark.asyncio(loop_scope="module")
        async def test_next():
            for kept in KEPT:
                await kept.communicate(b"")
        """,
        """
        @pytest.mark.asyncio
        async def test_it():
            child = await asyncio.create_subprocess_exec(*CHILD, stdin=subprocess.PIPE)
            await child.communicate(b"")
        """,
    ),
    *_pair(
        "process_of_fixture",
        """
        @pytest.fixture
        def server():
            return subprocess.Popen(CHILD, stdin=subprocess.PIPE)  # HERE

        def test_it(server):
            KEPT.append(server)

        def test_next():
            for kept in KEPT:
                kept.communicate()
        """,
        """
        @pytest.fixture(scope="module")
        def server():
            with subprocess.Popen(CHILD, stdin=subprocess.PIPE) as child:
                yield child

        def test_it(server):
            assert server.poll() is None

        def test_next(server):
            assert server.poll() is None
        """,
    ),
    *_pair(
        "socket",
        """
        def test_it():
            KEPT.append(socket.create_server(("127.0.0.1", 0)))  # HERE

        def test_next():
            for kept in KEPT:
                kept.close()
        """,
        """
        def test_it():
            with socket.create_server(("127.0.0.1", 0)) as server:
                assert server.getsockname()
        """,
    ),
    *_pair(
        "socket_of_fixture",
        """
        @pytest.fixture
        def server():
            server = socket.create_server(("127.0.0.1", 0))  # HERE
            KEPT.append(server)
            yield server

        def test_it(server):
            assert server

        def test_next():
            for kept in KEPT:
                kept.close()
        """,
        """
        @pytest.fixture
        def server():
            with socket.create_server(("127.0.0.1", 0)) as server:
                yield server

        def test_it(server):
            socket.create_connection(server.getsockname()).close()
        """,
    ),
    *_pair(
        "connection",
        """
        @pytest.fixture(scope="module")
        def address():
            with socket.create_server(("127.0.0.1", 0)) as server:
                yield server.getsockname()

        def test_it(address):
            KEPT.append(socket.create_connection(address))  # HERE

        def test_next(address):
            for kept in KEPT:
                kept.close()
        """,
        """
        class Client:
            connection = None
            def connect(self, address):
                self.connection = self.connection or socket.create_connection(address)

        @pytest.fixture(scope="module")
        def client():
            with socket.create_server(("127.0.0.1", 0)) as server:
                client = Client()
                yield client, server.getsockname()
                client.connection.close()

        def test_it(client):
            client[0].connect(client[1])

        def test_next(client):
            client[0].connect(client[1])
        """,
    ),
    *_pair(
        "asyncio_server",
        """
        @pytest.mark.asyncio
        async def test_it():
            await asyncio.start_server(print, "127.0.0.1", 0)  # HERE
        """,
        """
        @pytest.mark.asyncio
        async def test_it():
            async with await asyncio.start_server(print, "127.0.0.1", 0) as server:
                assert server.sockets
        """,
    ),
    *_pair(
        "event_loop",
        """
        def test_it():
            KEPT.append(asyncio.new_event_loop())  # HERE

        def test_next():
            for kept in KEPT:
                kept.close()
        """,
        """
        def test_it():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(fetch())
            loop.close()
        """,
    ),
    *_pair(
        "environ",
        """
        def test_it():
            os.environ["CANARY_SET"] = "1"  # HERE

        def test_next():
            assert "CANARY_SET" not in os.environ
        """,
        """
        def test_it(monkeypatch):
            monkeypatch.setenv("CANARY_SET", "1")
        """,
    ),
    *_pair(
        "environ_deleted",
        """
        @pytest.fixture(scope="module", autouse=True)
        def given():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CANARY_GIVEN", "1")
                yield

        def test_it():
            del os.environ["CANARY_GIVEN"]  # HERE

        def test_next():
            assert os.environ["CANARY_GIVEN"] == "1"
        """,
        """
        @pytest.fixture(scope="module")
        def given():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CANARY_MODULE", "1")
                yield

        def test_it(given):
            assert os.environ["CANARY_MODULE"]

        def test_next(given):
            assert os.environ["CANARY_MODULE"]
        """,
    ),
    *_pair(
        "cwd",
        """
        def test_it(tmp_path):
            os.chdir(tmp_path)  # HERE
        """,
        """
        def test_it(tmp_path):
            with contextlib.chdir(tmp_path):
                assert os.listdir() == []
        """,
    ),
    *_pair(
        "cwd_by_descriptor",
        """
        def test_it(tmp_path):
            folder = os.open(tmp_path, os.O_RDONLY)
            os.fchdir(folder)  # HERE
            os.close(folder)

        def test_next(tmp_path):
            assert os.getcwd() != str(tmp_path)
        """,
        """
        def test_before(tmp_path):
            home = os.getcwd()
            os.chdir(tmp_path)
            tmp_path.rmdir()
            os.chdir(home)

        def test_it():
            assert os.path.isdir(os.getcwd())
        """,
    ),
    *_pair(
        "singleton",
        """
        def test_it():
            app.Registry.instance = object()
            app.state["deployments"] += 1

        def test_next():
            assert app.Registry.instance is None
            assert app.state == {"deployments": 0}
        """,
        """
        def test_it(monkeypatch):
            monkeypatch.setattr(app.Registry, "instance", object())
            monkeypatch.setitem(app.state, "deployments", 7)
        """,
    ),
    Canary(
        "allowed_leak",
        """
        @pytest.mark.allow_leaks("environ:CANARY_*", "socket", reason="told apart")
        def test_it():
            os.environ["CANARY_ALLOWED"] = "1"
            KEPT.append(socket.socket())
        """,
        "passed",
    ),
]
