"""The stand-in dies (SIGKILL) in the middle of something: its user gets one named error, or the truth."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import travel_desk
from contract_stand_in import StandIn
from flywheel_client import MODEL, customization_body, deployment_body, evaluation_config
from hub_script import sha256, write

from include.nemo import (
    Call,
    NemoClient,
    NemoUrls,
    RetryPolicy,
    customizer,
    datastore,
    deployments,
    entities,
    evaluator,
)
from include.nemo.errors import NotFound, Unreachable

MIB = 1024 * 1024
LARGE_BYTES = 24 * MIB
REPO = "flywheel/killed"
pytestmark = pytest.mark.usefixtures("stand_in_only")


@pytest.fixture
def stand_in(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[StandIn]:
    with StandIn(tmp_path, free_port()) as running:
        yield running


@pytest.fixture
def urls(stand_in: StandIn) -> NemoUrls:
    return NemoUrls(stand_in.url, stand_in.url, f"{stand_in.url}/nim")


@pytest.fixture
def nemo(urls: NemoUrls) -> Iterator[NemoClient]:
    """Our client, which does not wait long for the dead."""
    with NemoClient(urls, retries=RetryPolicy(tries=2, base_seconds=0.01)) as client:
        client.send(entities.create_namespace("flywheel"))
        client.send(datastore.create_namespace("flywheel"))
        datastore.DataStore(urls).ensure_repo(REPO)
        yield client


@pytest.fixture
def data(nemo: NemoClient, urls: NemoUrls) -> None:
    """A data set to train and to evaluate on."""
    turns = travel_desk.turns(60, seed=4)
    store = datastore.DataStore(urls)
    training = [travel_desk.training_row(turn) for turn in turns]
    testing = [travel_desk.evaluation_row(turn) for turn in turns[:20]]
    store.upload_file(REPO, "training/train.jsonl", travel_desk.jsonl(training))
    store.upload_file(REPO, "testing/eval.jsonl", travel_desk.jsonl(testing))
    nemo.send(entities.create_dataset("flywheel", "killed", files_url=datastore.files_url(REPO)))


def waited(nemo: NemoClient, read: Call[Any], words: tuple[str, ...], seconds: float = 20) -> Any:
    """What a user who polls sees: a failed poll is tried again, whatever is answered is believed."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = nemo.send(read)
        except Unreachable:
            answer = None
        if answer is not None and answer.state in words:
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)


def hold(stand_in: StandIn, kind: str) -> None:
    httpx.post(f"{stand_in.url}/_local/behaviours", json={"kind": kind, "hold": True}).raise_for_status()


def release(stand_in: StandIn) -> None:
    httpx.delete(f"{stand_in.url}/_local/behaviours").raise_for_status()


class Deadly(io.BytesIO):
    """A content that kills its receiver once half of it is on its way (it is read for its digest first)."""

    def __init__(self, content: bytes, kill: Callable[[], None]) -> None:
        super().__init__(content)
        self._left, self._kill = len(content) * 3 // 2, kill

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        alive, self._left = self._left > 0, self._left - len(piece)
        if alive and self._left <= 0:
            self._kill()
        return piece


def content(tmp_path: Path) -> bytes:
    return write(tmp_path / "source", LARGE_BYTES).read_bytes()


def test_an_upload_that_is_cut_off_is_an_error_and_leaves_no_file(
    stand_in: StandIn, nemo: NemoClient, urls: NemoUrls, tmp_path: Path
) -> None:
    store = datastore.DataStore(urls, retries=RetryPolicy(tries=2, base_seconds=0.01))
    whole = content(tmp_path)
    with pytest.raises(Unreachable, match=r"Data Store at .*: 'upload large to flywheel/killed' failed"):
        store.upload_file(REPO, "large", Deadly(whole, stand_in.kill))
    stand_in.start()
    assert store.list_files(REPO) == []
    assert list((tmp_path / "data" / "blobs" / "incoming").iterdir()) == []
    store.upload_file(REPO, "large", whole)
    nemo.download(datastore.download_file(REPO, "large"), tmp_path / "back")
    assert sha256(tmp_path / "back") == sha256(tmp_path / "source")


def test_an_upload_outlives_a_restart(
    stand_in: StandIn, nemo: NemoClient, urls: NemoUrls, tmp_path: Path
) -> None:
    def restart() -> None:
        stand_in.kill()
        stand_in.start()

    whole = content(tmp_path)
    datastore.DataStore(urls).upload_file(REPO, "large", Deadly(whole, restart))
    nemo.download(datastore.download_file(REPO, "large"), tmp_path / "back")
    assert sha256(tmp_path / "back") == sha256(tmp_path / "source")


def test_a_download_that_is_cut_off_leaves_nothing_or_all(
    stand_in: StandIn, nemo: NemoClient, urls: NemoUrls, tmp_path: Path
) -> None:
    source = write(tmp_path / "source", 4 * LARGE_BYTES)
    datastore.DataStore(urls).upload_file(REPO, "large", source)
    target = tmp_path / "down" / "back"
    target.parent.mkdir()
    download = datastore.download_file(REPO, "large")

    def kill_once_it_flows() -> None:
        while not list(target.parent.iterdir()):
            time.sleep(0.0005)
        stand_in.kill()

    killer = threading.Thread(target=kill_once_it_flows)
    killer.start()
    cut = ""
    try:
        nemo.download(download, target)
    except Unreachable as error:
        cut = str(error)
    killer.join()
    left = list(target.parent.iterdir())
    if cut:
        assert "'download large of flywheel/killed' failed" in cut
        assert left == []
    else:
        assert left == [target]
        assert sha256(target) == sha256(source)
    stand_in.start()
    nemo.download(download, target)
    assert sha256(target) == sha256(source)


def test_orders_are_kept_once_or_not_at_all(stand_in: StandIn, nemo: NemoClient, data: None) -> None:
    """What was acknowledged is there after the kill; what was not is found by its fields, or never was."""
    hold(stand_in, "customization")
    acknowledged: dict[str, str] = {}
    half = threading.Event()

    def kill_at_half() -> None:
        half.wait()
        stand_in.kill()

    killer = threading.Thread(target=kill_at_half)
    killer.start()
    body = customization_body("killed") | {"dataset": REPO, "output_model": "flywheel/order"}
    for attempt in range(100):
        order = customizer.create_job(**body, custom_fields={"attempt": str(attempt)})
        try:
            acknowledged[str(attempt)] = nemo.send(order).id or ""
        except Unreachable:
            break
        if attempt == 5:
            half.set()
    killer.join()
    stand_in.start()
    found = nemo.collect(customizer.list_jobs(namespace="flywheel", project="run-1"))
    attempts = [job.custom_fields["attempt"] for job in found]
    assert len(attempts) == len(set(attempts))
    kept = {job.custom_fields["attempt"]: job.id for job in found}
    assert acknowledged.items() <= kept.items()
    assert len(kept) - len(acknowledged) <= 1


def test_a_customization_outlives_a_restart(stand_in: StandIn, nemo: NemoClient, data: None) -> None:
    hold(stand_in, "customization")
    body = customization_body("killed") | {"dataset": REPO}
    job = nemo.send(customizer.create_job(**body))
    read = customizer.get_job(job.id or "")
    waited(nemo, read, ("running",))
    stand_in.kill()
    with pytest.raises(Unreachable, match="Customizer"):
        nemo.send(read)
    stand_in.start()
    assert not nemo.send(read).state.is_terminal
    with pytest.raises(NotFound):
        nemo.send(entities.get_model("flywheel", "toy"))
    release(stand_in)
    done = waited(nemo, read, ("completed", "failed"))
    assert done.state == "completed", done.status_details
    assert (done.status_details.epochs_completed, done.status_details.percentage_done) == (3, 100.0)
    assert done.output_model == f"flywheel/toy@{job.id}"


def test_an_evaluation_outlives_a_restart(
    stand_in: StandIn, nemo: NemoClient, data: None, tmp_path: Path
) -> None:
    image = deployment_body("base")
    nemo.send(deployments.create("flywheel", "base", config=image["config"]))
    waited(nemo, deployments.get("flywheel", "base"), ("ready",))
    target = {"type": "model", "model": MODEL}
    create = evaluator.create_job(namespace="flywheel", config=evaluation_config("killed"), target=target)
    undisturbed = nemo.send(create).id or ""
    waited(nemo, evaluator.get_job(undisturbed), ("completed",))
    hold(stand_in, "evaluation")
    job = nemo.send(create).id or ""
    read = evaluator.get_job(job)
    waited(nemo, read, ("running",))
    stand_in.kill()
    with pytest.raises(Unreachable, match="Evaluator"):
        nemo.send(evaluator.get_results(job))
    stand_in.start()
    for early in (lambda: nemo.send(evaluator.get_results(job)), lambda: download(nemo, job, tmp_path)):
        with pytest.raises(NotFound):
            early()
    release(stand_in)
    assert waited(nemo, read, ("completed", "failed")).state == "completed"
    tasks = [nemo.send(evaluator.get_results(each)).tasks for each in (undisturbed, job)]
    assert tasks[0] == tasks[1]
    assert download(nemo, job, tmp_path) > 0


def download(nemo: NemoClient, job: str, folder: Path) -> int:
    return nemo.download(evaluator.download_results(job), folder / "results.zip")
