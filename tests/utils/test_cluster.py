"""The pool of a Dask cluster, here one of threads of this process."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

distributed = pytest.importorskip(
    "distributed", reason="distributed is not installed: pip install -e '.[cluster]'"
)

from lipnet.errors import LipnetError  # noqa: E402
from lipnet.utils import cluster  # noqa: E402
from lipnet.utils.cluster import ClusterPool  # noqa: E402
from lipnet.utils.log import LOG  # noqa: E402
from lipnet.utils.pool import WorkerError  # noqa: E402

THREADS = 2


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with start_cluster(1) as local:
        yield local.scheduler_address


def start_cluster(workers: int) -> Any:
    options = {"processes": False, "protocol": "tcp", "host": "127.0.0.1", "dashboard_address": ":0"}
    return distributed.LocalCluster(n_workers=workers, threads_per_worker=THREADS, **options)


def describe(task: str, folder: Path) -> str:
    """What some tasks do: write a file, or raise an exception."""
    if task == "named":
        raise LipnetError("a.mp4: no face")
    if task == "bug":
        raise ValueError("not\nexpected")
    if task == "lacks":
        raise WorkerError("a.mp4: no such file there")
    if task == "full":
        raise OSError(28, "No space left on device", str(folder / "a"))
    if task == "slow":
        time.sleep(0.3)
    LOG.warning("a warning")
    (folder / "file").write_text(task.upper())
    return (folder / "file").read_text()


def pool(address: str, receive: Any = str.lower) -> ClusterPool[str, str, str]:
    return ClusterPool(address, describe, receive)


def test_results_are_in_the_order_of_the_tasks(address: str, caplog: pytest.LogCaptureFixture) -> None:
    tasks = ["slow", *"abcdefgh", "named", "bug", "last"]
    with pool(address) as workers:
        results = list(workers.map(tasks))
        assert list(workers.map([])) == []
    assert results[:9] == tasks[:9] and results[-1] == "last"
    assert str(results[-3]) == "a.mp4: no face"
    assert str(results[-2]) == "cannot be worked on (ValueError not expected); get or convert the file again"
    assert "a warning" in caplog.text


def test_a_bounded_number_of_tasks_is_in_flight(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "AHEAD", 2)
    given = 0

    def tasks() -> Iterator[str]:
        nonlocal given
        for given in range(1, 16):
            yield "slow" if given == 1 else "a"

    with pool(address) as workers:
        for done, _ in enumerate(workers.map(tasks()), 1):
            assert given - done < 2 * THREADS
    assert given == 15


def test_results_are_received_as_soon_as_they_are_there(address: str) -> None:
    received: list[str] = []
    with pool(address, received.append) as workers:
        list(workers.map(["slow", "a", "b"]))
    assert sorted(received) == ["A", "B", "SLOW"] and received[-1] == "SLOW"


@pytest.mark.parametrize(
    ("task", "reason"),
    [("lacks", "a.mp4: no such file there"), ("full", "a: no space left on device; check")],
)
def test_what_a_worker_lacks_ends_all_and_names_it(task: str, reason: str, address: str) -> None:
    with pytest.raises(WorkerError) as raised, pool(address) as workers:
        list(workers.map(["a", task, "b"]))
    assert str(raised.value).startswith("worker tcp://127.0.0.1:") and reason in str(raised.value)
    assert f" on {socket.gethostname()}: " in str(raised.value)


def test_another_version_on_a_worker(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pool(address) as workers:
        monkeypatch.setattr(cluster, "__version__", "0.0.9")  # of the worker, a thread of this process
        with pytest.raises(WorkerError, match=r"has lipnet 0\.0\.9; install lipnet \d.* where the sched"):
            list(workers.map(["a"]))


class Lacking:
    """A task of a module that workers and the scheduler lack."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return import_module, ("no_such_module",)


def test_what_the_cluster_cannot_do_is_one_line(address: str) -> None:
    pattern = r"^--dask tcp:.*: the cluster cannot run this \(.*\); install lipnet \d.* where the scheduler"
    with pytest.raises(WorkerError, match=pattern) as raised, pool(address) as workers:
        list(workers.map([Lacking()]))  # type: ignore[list-item]
    assert "\n" not in str(raised.value)


def test_without_workers(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks wait for one, and a message says so. Where the scheduler ends, the job does."""
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0.05)
    local = start_cluster(0)
    with local, pool(local.scheduler_address) as workers:
        late = threading.Timer(0.5, local.scale, [1])
        late.start()
        assert list(workers.map(["a"])) == ["a"]
        assert "the scheduler has no workers; waiting for some" in caplog.text
        late.join()


@pytest.mark.parametrize(
    "address", ["x", "ftp://x:1", "gone.json", "127.0.0.1:{port}", "tcp://127.0.0.1:{port}"]
)
def test_addresses_where_no_scheduler_answers(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = address.format(port=unused.getsockname()[1])
    with pytest.raises(LipnetError, match=f"^--dask {address}: no scheduler answers there; start one by"):
        pool(address)


def test_another_program_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and never answers."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(LipnetError, match="no scheduler answers there"),
    ):
        pool(f"127.0.0.1:{silent.getsockname()[1]}")


def test_a_scheduler_file(address: str, tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    path.write_text(json.dumps({"address": address}))
    with pool(str(path)) as workers:
        assert list(workers.map(["a"])) == ["a"]
    for content in (b"{}", b"[1]", b"\xff", b'{"address": 3}', b'{"address": "x"}'):
        path.write_bytes(content)
        with pytest.raises(LipnetError, match="no scheduler answers there"):
            pool(os.fspath(path))


def kill_worker(task: str, folder: Path) -> str:
    if task == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return task


@pytest.mark.slow
def test_a_task_that_ends_every_worker_fails() -> None:
    """As of a video for which no worker has enough memory. Others are done."""
    options: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": ":0"}
    allowed = distributed.dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with (
        allowed,
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, **options) as local,
        ClusterPool(local.scheduler_address, kill_worker, str) as workers,
    ):
        [lost] = workers.map(["killed"])
        assert isinstance(lost, LipnetError) and "were lost again and again" in str(lost)
        assert list(workers.map(["a", "b"])) == ["a", "b"]
