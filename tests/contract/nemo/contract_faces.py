"""Two ways to make the calls of a flywheel, behind one face: our client, and the official SDK.

Each answers with its own objects, whose attributes have the names of the wire. A refusal raises
`Refused` with the HTTP status, so that a test need not know whose errors they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from nemo_microservices import APIStatusError, NeMoMicroservices

from include.nemo import NemoClient, NemoUrls, customizer, datastore, deployments, entities, evaluator
from include.nemo import inference as nim
from include.nemo.errors import NemoError


class Refused(Exception):
    """The service said no. `status` is HTTP's."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status


@dataclass(frozen=True)
class Installation:
    """Where the services are, and what a test may ask of them. `config` is a customization's.

    `embedding_model`: one to deploy and ask; None where there is no GPU for it.
    """

    urls: NemoUrls
    token: str | None
    real: bool
    model: str
    config: str
    embedding_model: str | None
    patience_seconds: float


class Face(Protocol):
    """The calls. Names are split: `namespace, name`; jobs go by their id."""

    def create_namespace(self, namespace: str) -> Any: ...
    def create_dataset(self, namespace: str, name: str, project: str | None = None) -> Any: ...
    def dataset(self, namespace: str, name: str) -> Any: ...
    def datasets(self, **filters: str) -> list[Any]: ...
    def delete_dataset(self, namespace: str, name: str) -> None: ...
    def model(self, namespace: str, name: str) -> Any: ...
    def delete_model(self, namespace: str, name: str) -> None: ...
    def create_store_namespace(self, namespace: str) -> None: ...
    def create_repo(self, repo: str) -> None: ...
    def upload(self, repo: str, file: str, content: bytes) -> None: ...
    def files(self, repo: str) -> list[str]: ...
    def download(self, repo: str, file: str, folder: Path) -> bytes: ...
    def delete_repo(self, repo: str) -> None: ...
    def deploy(self, namespace: str, name: str, config: dict[str, Any]) -> Any: ...
    def deployment(self, namespace: str, name: str) -> Any: ...
    def undeploy(self, namespace: str, name: str) -> None: ...
    def served(self) -> list[str]: ...
    def complete(self, body: dict[str, Any]) -> Any: ...
    def embed(self, model: str, texts: list[str], input_type: str) -> list[list[float]]: ...
    def chat(self, body: dict[str, Any]) -> Any: ...
    def chat_stream(self, body: dict[str, Any]) -> Iterator[Any]: ...
    def customize(self, body: dict[str, Any]) -> Any: ...
    def customization(self, job: str) -> Any: ...
    def customization_status(self, job: str) -> Any: ...
    def customization_logs(self, job: str) -> Any: ...
    def customizations(self, namespace: str, project: str, fields: dict[str, str]) -> list[Any]: ...
    def cancel_customization(self, job: str) -> None: ...
    def evaluate(self, body: dict[str, Any]) -> Any: ...
    def evaluation(self, job: str) -> Any: ...
    def evaluation_status(self, job: str) -> Any: ...
    def evaluation_results(self, job: str) -> Any: ...
    def download_results(self, job: str, folder: Path) -> bytes: ...
    def evaluations(self, namespace: str, project: str, fields: dict[str, str]) -> list[Any]: ...
    def cancel_evaluation(self, job: str) -> None: ...
    def delete_evaluation(self, job: str) -> None: ...


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except NemoError as error:
        if error.status is None:
            raise
        raise Refused(error.status, str(error)) from error
    except APIStatusError as error:
        raise Refused(error.status_code, str(error)) from error
    except (HfHubHTTPError, httpx.HTTPStatusError) as error:
        status = 0 if error.response is None else error.response.status_code
        raise Refused(status, str(error)) from error


def _pieces(begin: Callable[[], Any]) -> Iterator[Any]:
    """A stream, whose refusal may come with its first piece."""
    with _refusals():
        yield from begin()


class _Calls:
    """Turns whatever a call raises for a refusal into `Refused`."""

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name.startswith("_") or not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            with _refusals():
                return found(*args, **kwargs)

        return call


class Ours(_Calls):
    """`include.nemo`."""

    def __init__(self, at: Installation) -> None:
        self._nemo = NemoClient(at.urls, at.token)
        self._store = datastore.DataStore(at.urls, at.token)
        send = self._nemo.send
        self.create_namespace = lambda namespace: send(entities.create_namespace(namespace))
        self.dataset = lambda namespace, name: send(entities.get_dataset(namespace, name))
        self.datasets = lambda **filters: self._nemo.collect(entities.list_datasets(**filters))
        self.delete_dataset = lambda namespace, name: send(entities.delete_dataset(namespace, name))
        self.model = lambda namespace, name: send(entities.get_model(namespace, name))
        self.delete_model = lambda namespace, name: send(entities.delete_model(namespace, name))
        self.create_store_namespace = lambda namespace: send(datastore.create_namespace(namespace))
        self.create_repo = self._store.ensure_repo
        self.upload = self._store.upload_file
        self.files = lambda repo: _visible(self._store.list_files(repo))
        self.delete_repo = self._store.delete_repo
        self.deploy = lambda namespace, name, config: send(deployments.create(namespace, name, config=config))
        self.deployment = lambda namespace, name: send(deployments.get(namespace, name))
        self.undeploy = lambda namespace, name: send(deployments.delete(namespace, name))
        self.served = lambda: [model.id for model in send(nim.list_models())]
        self.complete = lambda body: send(nim.complete(**body))
        self.chat = lambda body: send(nim.chat(**body))
        self.chat_stream = lambda body: _pieces(lambda: self._nemo.stream(nim.chat_stream(**body)))
        self.embed = lambda model, texts, input_type: send(
            nim.embed(model=model, texts=texts, input_type=input_type)
        )
        self.customization = lambda job: send(customizer.get_job(job))
        self.customization_status = lambda job: send(customizer.get_status(job))
        self.customization_logs = lambda job: send(customizer.get_container_logs(job))
        self.cancel_customization = lambda job: send(customizer.cancel_job(job))
        self.evaluate = lambda body: send(evaluator.create_job(**body))
        self.evaluation = lambda job: send(evaluator.get_job(job))
        self.evaluation_status = lambda job: send(evaluator.get_status(job))
        self.evaluation_results = lambda job: send(evaluator.get_results(job))
        self.cancel_evaluation = lambda job: send(evaluator.cancel_job(job))
        self.delete_evaluation = lambda job: send(evaluator.delete_job(job))

    def create_dataset(self, namespace: str, name: str, project: str | None = None) -> Any:
        url = datastore.files_url(f"{namespace}/{name}")
        return self._nemo.send(entities.create_dataset(namespace, name, files_url=url, project=project))

    def download(self, repo: str, file: str, folder: Path) -> bytes:
        self._nemo.download(datastore.download_file(repo, file), folder / "file")
        return (folder / "file").read_bytes()

    def customize(self, body: dict[str, Any]) -> Any:
        dataset = f"{body['dataset']['namespace']}/{body['dataset']['name']}"
        return self._nemo.send(customizer.create_job(**body | {"dataset": dataset}))

    def customizations(self, namespace: str, project: str, fields: dict[str, str]) -> list[Any]:
        wanted = customizer.list_jobs(namespace=namespace, project=project, custom_fields=fields)
        return self._nemo.collect(wanted)

    def evaluations(self, namespace: str, project: str, fields: dict[str, str]) -> list[Any]:
        wanted = evaluator.list_jobs(namespace=namespace, project=project, custom_fields=fields)
        return self._nemo.collect(wanted)

    def download_results(self, job: str, folder: Path) -> bytes:
        self._nemo.download(evaluator.download_results(job), folder / "results.zip")
        return (folder / "results.zip").read_bytes()


class Official(_Calls):
    """`nemo_microservices` and `huggingface_hub`."""

    def __init__(self, at: Installation) -> None:
        headers = {"Authorization": f"Bearer {at.token}"} if at.token else {}
        self._at, self._headers = at, headers
        sdk = NeMoMicroservices(
            base_url=at.urls.base_url, inference_base_url=at.urls.inference_url, default_headers=headers
        )
        self._sdk = sdk
        self._hub = HfApi(endpoint=f"{at.urls.data_store_url}/v1/hf", token=at.token or False)
        self.create_namespace = lambda namespace: sdk.namespaces.create(id=namespace)
        self.dataset = lambda namespace, name: sdk.datasets.retrieve(name, namespace=namespace)
        self.datasets = lambda **filters: list(sdk.datasets.list(filter=filters, page_size=2))
        self.delete_dataset = lambda namespace, name: sdk.datasets.delete(name, namespace=namespace)
        self.model = lambda namespace, name: sdk.models.retrieve(name, namespace=namespace)
        self.delete_model = lambda namespace, name: sdk.models.delete(name, namespace=namespace)
        self.create_repo = lambda repo: self._hub.create_repo(repo, repo_type="dataset", exist_ok=True)
        self.files = lambda repo: _visible(self._hub.list_repo_files(repo, repo_type="dataset"))
        self.delete_repo = lambda repo: self._hub.delete_repo(repo, repo_type="dataset", missing_ok=True)
        deployed = sdk.deployment.model_deployments
        self.deploy = lambda namespace, name, config: deployed.create(
            namespace=namespace, name=name, config=config
        )
        self.deployment = lambda namespace, name: deployed.retrieve(name, namespace=namespace)
        self.undeploy = lambda namespace, name: deployed.delete(name, namespace=namespace)
        self.served = lambda: [model.id for model in sdk.inference.models.list().data or []]
        self.complete = self._create(sdk.completions.create)
        self.chat = self._create(sdk.chat.completions.create)
        self.chat_stream = lambda body: _pieces(lambda: sdk.chat.completions.create(**body, stream=True))
        self.customization = sdk.customization.jobs.retrieve
        self.customization_status = sdk.customization.jobs.status
        self.customization_logs = sdk.customization.jobs.container_logs
        self.cancel_customization = sdk.customization.jobs.cancel
        self.evaluation = sdk.evaluation.jobs.retrieve
        self.evaluation_status = sdk.evaluation.jobs.status
        self.evaluation_results = sdk.evaluation.jobs.results
        self.cancel_evaluation = sdk.evaluation.jobs.cancel
        self.delete_evaluation = sdk.evaluation.jobs.delete
        self.evaluate = self._create(sdk.evaluation.jobs.create)
        self.customize = self._create(sdk.customization.jobs.create)

    @staticmethod
    def _create(create: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
        return lambda body: create(**body)

    def create_dataset(self, namespace: str, name: str, project: str | None = None) -> Any:
        url = f"hf://datasets/{namespace}/{name}"
        more = {"project": project} if project else {}
        return self._sdk.datasets.create(name=name, namespace=namespace, files_url=url, **more)

    def create_store_namespace(self, namespace: str) -> None:
        # The SDK has no method for it.
        url = f"{self._at.urls.data_store_url}/v1/datastore/namespaces"
        httpx.post(url, data={"namespace": namespace}, headers=self._headers).raise_for_status()

    def upload(self, repo: str, file: str, content: bytes) -> None:
        self._hub.upload_file(path_or_fileobj=content, path_in_repo=file, repo_id=repo, repo_type="dataset")

    def download(self, repo: str, file: str, folder: Path) -> bytes:
        local = self._hub.hf_hub_download(repo, file, repo_type="dataset", cache_dir=folder / "hub")
        return Path(local).read_bytes()

    def embed(self, model: str, texts: list[str], input_type: str) -> list[list[float]]:
        answer = self._sdk.embeddings.create(
            model=model, input=texts, input_type=input_type, encoding_format="float"
        )
        return [row.embedding for row in answer.data]

    def customizations(self, namespace: str, project: str, fields: dict[str, str]) -> list[Any]:
        wanted = {"namespace": namespace, "project": project}
        return _with(fields, self._sdk.customization.jobs.list(filter=wanted))

    def evaluations(self, namespace: str, project: str, fields: dict[str, str]) -> list[Any]:
        wanted = {"namespace": namespace, "project": project}
        return _with(fields, self._sdk.evaluation.jobs.list(filter=wanted))

    def download_results(self, job: str, folder: Path) -> bytes:
        self._sdk.evaluation.jobs.download_results(job).write_to_file(folder / "results.zip")
        return (folder / "results.zip").read_bytes()


def _visible(files: list[str]) -> list[str]:
    """Without `.gitattributes` and its like, which a store may add by itself."""
    return [file for file in files if not file.startswith(".")]


def _with(fields: dict[str, str], jobs: Any) -> list[Any]:
    return [job for job in jobs if fields.items() <= (job.custom_fields or {}).items()]
