"""The store: atomic changes by many threads, duplicates, and one server a folder."""

import subprocess
import sys
import threading

import pytest

from include.nemo_local.errors import DuplicateRecord, FolderInUse
from include.nemo_local.store import Record, Store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite"


def record(name, record_id=None):
    return Record("thing", record_id or name, "ns", name, {"n": 0})


def test_changes_of_many_threads_all_count(path):
    store = Store(path)
    store.insert(record("a"))

    def add():
        for _ in range(50):
            store.change("thing", "a", lambda stored: stored.body.update(n=stored.body["n"] + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    assert Store(path).by_id("thing", "a").body == {"n": 200}


def test_a_transaction_that_fails_leaves_nothing(path):
    store = Store(path)

    def half_done():
        with store.exclusive():
            store.insert(record("a"))
            with store.exclusive():
                store.insert(record("b"))
            store.insert(record("a"))

    with pytest.raises(DuplicateRecord):
        half_done()
    assert store.select("thing") == []


def test_ids_and_names_are_unique_in_their_kind(path):
    store = Store(path)
    store.insert(record("a"))
    store.insert(Record("other", "a", "ns", "a", {}))
    with pytest.raises(DuplicateRecord):
        store.insert(record("a", "another id"))
    with pytest.raises(DuplicateRecord):
        store.insert(record("b", "a"))


def test_records_come_in_order_of_creation(path):
    store = Store(path)
    for name in "cab":
        store.insert(record(name))
    assert [found.name for found in store.select("thing")] == ["c", "a", "b"]
    assert store.delete("thing", "a")
    assert not store.delete("thing", "a")
    assert store.get("thing", "ns", "a") is None
    assert store.change("thing", "a", lambda _: None) is None


def test_a_second_process_is_told_that_the_folder_is_taken(path):
    store = Store(path)
    code = "import sys, pathlib; from include.nemo_local.store import Store; Store(pathlib.Path(sys.argv[1]))"
    second = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert FolderInUse.__name__ in second.stderr
    assert "stop it or give another folder" in second.stderr
    store.close()
    subprocess.run([sys.executable, "-c", code, path], check=True)
