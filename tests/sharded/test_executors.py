"""Who runs the tasks of a build, and what is said where nobody can."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.errors import InputError, MissingDependency, StorageError
from retrieval.sharded.executors import executor_for
from retrieval.sharded.working_folder import working_folder


@pytest.fixture(autouse=True)
def unconnected() -> Iterator[None]:
    ray = sys.modules.get("ray")
    assert ray is None or not ray.is_initialized()
    yield


def doubled(number: int) -> int:
    if number < 0:
        raise StorageError(f"{number} is negative")
    return 2 * number


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_results_come_with_the_numbers_of_their_tasks(workers: int) -> None:
    with executor_for(workers, None) as executor:
        assert dict(executor.run(doubled, [5, 6, 7])) == {0: 10, 1: 12, 2: 14}
        assert list(executor.run(doubled, [])) == []
        with pytest.raises(StorageError, match="-1 is negative"):
            list(executor.run(doubled, [1, -1]))


def process_of(number: int) -> int:
    return os.getpid()


def ended(number: int) -> int:
    os._exit(number)


@pytest.mark.slow
def test_processes_stay_from_one_call_to_the_next_unless_one_is_ended() -> None:
    """What they have loaded is not loaded again."""
    with executor_for(2, None) as executor:
        before = set(dict(executor.run(process_of, range(4))).values())
        assert set(dict(executor.run(process_of, range(4))).values()) <= before
        with pytest.raises(StorageError, match="a process that worked on the build was ended"):
            list(executor.run(ended, [3]))
        assert not set(dict(executor.run(process_of, range(2))).values()) & before


@pytest.mark.parametrize(
    ("workers", "address", "said"),
    [
        (0, None, "must be at least 1"),
        (2, "127.0.0.1:9", "leave one of them out"),
        (1, "nonsense", "is not an address of Ray; give host:port"),
        (1, "127.0.0.1:", "is not an address of Ray; give host:port"),
        (1, "127.0.0.1:9", "no Ray cluster answers at 127.0.0.1:9"),
        (1, "ray://127.0.0.1:9", "no Ray cluster answers at ray://127.0.0.1:9"),
        (1, "no-such-host.invalid:6379", "no Ray cluster answers at no-such-host.invalid:6379"),
    ],
)
def test_what_cannot_run_tasks_is_one_line(workers: int, address: str | None, said: str) -> None:
    if address is not None:
        pytest.importorskip("ray")
    with pytest.raises(InputError, match=said) as raised, executor_for(workers, address):
        pass
    assert "\n" not in str(raised.value)


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"pip install 'modernbert-retrieval\[ray\]'"):
        executor_for(1, "local").__enter__()


def test_nothing_of_ray_is_imported_without_it() -> None:
    import subprocess

    code = (
        "import sys, retrieval.sharded, retrieval.service.collections; print('ray' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_a_killed_build_leaves_no_folder_for_long(tmp_path: Path) -> None:
    """What has no lock any more goes with the next; what has one stays."""
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "index").write_text("left")
    (tmp_path / "killed.lock").touch()
    with working_folder(tmp_path) as one, working_folder(tmp_path) as other:
        assert one.is_dir() and other.is_dir() and one != other
        assert not (tmp_path / "killed").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageError, match="a build cannot write to"),
        working_folder(tmp_path / "file" / "below"),
    ):
        pass


def test_a_cluster_that_may_ask_for_a_token_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself says of a token that it lacks only that it cannot connect."""
    ray = pytest.importorskip("ray")

    def init(*_: object, **__: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster")

    monkeypatch.setattr(ray, "init", init)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        for mode, said in (("disabled", True), ("token", False)):
            monkeypatch.setenv("RAY_AUTH_MODE", mode)
            refused = pytest.raises(InputError, match="cannot be used at")
            with refused as told, executor_for(1, address):
                pass
            assert ("set RAY_AUTH_MODE=token" in str(told.value)) == said
            assert "\n" not in str(told.value)
