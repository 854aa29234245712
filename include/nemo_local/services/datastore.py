"""Data Store: namespaces, and the part of the Hugging Face Hub API that `huggingface_hub` drives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from include.nemo_local import clock
from include.nemo_local.errors import ApiError, Conflict, DuplicateRecord, Invalid, NotFound
from include.nemo_local.repositories import RepoId, Repositories, Tree
from include.nemo_local.services import commits, hub_entries
from include.nemo_local.store import Record, Store

HF = "/v1/hf"
Kind = Literal["datasets", "models"]


class RepoIn(BaseModel):
    """Body of create and delete."""

    model_config = ConfigDict(extra="allow")

    name: str
    organization: str | None = None
    type: Literal["dataset", "model"] | None = "model"

    def repo(self) -> RepoId:
        namespace, _, name = self.name.rpartition("/")
        namespace = self.organization or namespace
        if not namespace:
            raise Invalid("a repository needs a namespace: name it <namespace>/<name>", field="organization")
        return RepoId(f"{self.type or 'model'}s", namespace, name)


class UploadPlan(BaseModel):
    """Body of preupload."""

    model_config = ConfigDict(extra="allow")

    files: list[dict[str, Any]]


def namespace_router(store: Store) -> APIRouter:
    """The Data Store's own namespaces (not those of the Entity Store)."""
    router = APIRouter(prefix="/v1/datastore/namespaces")

    @router.post("", status_code=201)
    def create(namespace: Annotated[str, Form()]) -> dict[str, Any]:
        moment = clock.stamp_seconds()
        body = {"namespace": namespace, "created_at": moment, "updated_at": moment}
        try:
            store.insert(Record("datastore_namespace", namespace, "", namespace, body))
        except DuplicateRecord:
            raise Conflict(f"Data Store namespace {namespace} already exists") from None
        return body

    @router.get("/{namespace}", status_code=201)
    def retrieve(namespace: str) -> dict[str, Any]:
        found = store.by_id("datastore_namespace", namespace)
        if found is None:
            raise NotFound(f"Data Store namespace {namespace} not found")
        return found.body

    @router.delete("/{namespace}")
    def delete(namespace: str) -> dict[str, Any]:
        if not store.delete("datastore_namespace", namespace):
            raise NotFound(f"Data Store namespace {namespace} not found")
        return {"id": namespace, "message": "Namespace deleted.", "deleted_at": clock.stamp()}

    return router


def repository_router(store: Store, repositories: Repositories) -> APIRouter:
    """Repositories: create, delete, describe."""
    router = APIRouter(prefix=HF)

    @router.post("/api/repos/create")
    def create(body: RepoIn) -> Response:
        repo = body.repo()
        if store.by_id("datastore_namespace", repo.namespace) is None:
            raise NotFound(
                f"Data Store namespace {repo.namespace} not found: "
                f"create it with POST /v1/datastore/namespaces (form field `namespace`)"
            )
        answer = {"url": _repo_url(repo), "name": f"{repo.namespace}/{repo.name}"}
        try:
            repositories.create(repo)
        except DuplicateRecord:
            duplicate = answer | {"error": f"repository {repo} already exists"}
            return JSONResponse(duplicate, status_code=409, headers={"x-should-retry": "false"})
        return JSONResponse(answer)

    @router.delete("/api/repos/delete")
    def delete(body: RepoIn) -> dict[str, Any]:
        repositories.delete(body.repo())
        return {"message": f"{body.repo()} deleted"}

    @router.get("/api/{kind}/{namespace}/{name}")
    def describe(kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        return _described(repositories, RepoId(kind, namespace, name), "main")

    @router.get("/api/{kind}/{namespace}/{name}/revision/{revision}")
    def describe_revision(kind: Kind, namespace: str, name: str, revision: str) -> dict[str, Any]:
        return _described(repositories, RepoId(kind, namespace, name), revision)

    return router


def commit_router(repositories: Repositories) -> APIRouter:
    """Files of a repository: list, plan an upload, commit."""
    router = APIRouter(prefix=HF)

    router.include_router(_tree_router(repositories))

    @router.post("/api/{kind}/{namespace}/{name}/preupload/{_revision}")
    def preupload(kind: Kind, namespace: str, name: str, _revision: str, plan: UploadPlan) -> dict[str, Any]:
        repositories.resolve(RepoId(kind, namespace, name))
        return {"files": [_upload_mode(file) for file in plan.files]}

    @router.post("/api/{kind}/{namespace}/{name}/commit/{revision}")
    async def commit(
        kind: Kind, namespace: str, name: str, revision: str, request: Request
    ) -> dict[str, Any]:
        repo = RepoId(kind, namespace, name)
        await run_in_threadpool(repositories.resolve, repo)
        operations = [
            await run_in_threadpool(commits.operation, repositories, line)
            async for line in commits.lines(request)
        ]

        def apply(tree: Tree) -> None:
            for operation in operations:
                operation.apply(tree)

        commit_id = await run_in_threadpool(repositories.commit, repo, apply, revision)
        # Clients of the 0.36 line take any text here; later ones want an address of this form.
        url = f"{_repo_url(repo)}/commit/{commit_id}"
        return {"success": True, "commitOid": commit_id, "commitUrl": url, "hookOutput": ""}

    return router


def _tree_router(repositories: Repositories) -> APIRouter:
    router = APIRouter()

    @router.get("/api/{kind}/{namespace}/{name}/tree/{revision}")
    @router.get("/api/{kind}/{namespace}/{name}/tree/{revision}/{folder:path}")
    def files(
        kind: Kind, namespace: str, name: str, revision: str, folder: str = "", *, recursive: bool = False
    ) -> list[dict[str, Any]]:
        tree = repositories.tree(RepoId(kind, namespace, name), revision)
        return hub_entries.below(tree, folder, recursive=recursive)

    @router.post("/api/{kind}/{namespace}/{name}/paths-info/{revision}")
    def paths_info(
        kind: Kind,
        namespace: str,
        name: str,
        revision: str,
        paths: Annotated[list[str] | None, Form()] = None,
    ) -> list[dict[str, Any]]:
        return hub_entries.named(repositories.tree(RepoId(kind, namespace, name), revision), paths or [])

    return router


def download_router(repositories: Repositories) -> APIRouter:
    """File contents down, and where to send the large ones that go up."""
    router = APIRouter(prefix=HF)
    paths = {"datasets": "/datasets/{namespace}/{name}", "models": "/{namespace}/{name}"}

    def add(kind: str, base: str) -> None:
        def resolve(namespace: str, name: str, revision: str, path: str) -> Response:
            repo = RepoId(kind, namespace, name)
            commit_id = repositories.resolve(repo, revision)
            entry = repositories.entry(repo, commit_id, path)
            headers = {"X-Repo-Commit": commit_id, "ETag": f'"{entry.digest}"'}
            if entry.lfs:
                headers |= {"X-Linked-Size": str(entry.size), "X-Linked-ETag": f'"{entry.digest}"'}
            content = repositories.blobs.path(entry.digest)
            return FileResponse(content, headers=headers, media_type="application/octet-stream")

        def batch(namespace: str, name: str, request: Request, body: dict[str, Any]) -> Response:
            repo = RepoId(kind, namespace, name)
            repositories.resolve(repo)
            base_url = f"{str(request.base_url).rstrip('/')}{HF}/lfs"
            objects = [_lfs_object(repositories, base_url, item) for item in body.get("objects", [])]
            return JSONResponse(
                {"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json"
            )

        router.add_api_route(base + "/resolve/{revision}/{path:path}", resolve, methods=["GET", "HEAD"])
        router.add_api_route(base + ".git/info/lfs/objects/batch", batch, methods=["POST"])

    for kind, base in paths.items():
        add(kind, base)
    return router


def lfs_router(repositories: Repositories) -> APIRouter:
    """Large contents up."""
    router = APIRouter(prefix=HF)

    @router.put("/lfs/{oid}")
    async def upload(oid: str, request: Request) -> dict[str, Any]:
        with repositories.blobs.writing() as writer:
            async for piece in commits.pieces(request):
                await run_in_threadpool(writer.write, piece)
            if writer.digest != oid:
                raise ApiError(400, f"the content's SHA-256 is {writer.digest}, not {oid}: upload it again")
        return {}

    @router.post("/lfs/{oid}/verify")
    def verify(oid: str, body: dict[str, Any]) -> dict[str, Any]:
        stored = repositories.blobs.has(oid)
        if not stored or repositories.blobs.path(oid).stat().st_size != body.get("size"):
            raise NotFound(f"object {oid} of {body.get('size')} bytes is not stored: upload it again")
        return {}

    return router


def _upload_mode(file: dict[str, Any]) -> dict[str, Any]:
    mode = "regular" if int(file.get("size", 0)) <= commits.REGULAR_LIMIT_BYTES else "lfs"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}


def _lfs_object(repositories: Repositories, base_url: str, item: dict[str, Any]) -> dict[str, Any]:
    oid = str(item["oid"])
    answer: dict[str, Any] = {"oid": oid, "size": item["size"]}
    if not repositories.blobs.has(oid):
        href = f"{base_url}/{oid}"
        answer["actions"] = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
    return answer


def _repo_url(repo: RepoId) -> str:
    prefix = "datasets/" if repo.kind == "datasets" else ""
    return f"{prefix}{repo.namespace}/{repo.name}"


def _described(repositories: Repositories, repo: RepoId, revision: str) -> dict[str, Any]:
    commit_id = repositories.resolve(repo, revision)
    name = f"{repo.namespace}/{repo.name}"
    files = [{"rfilename": path} for path in repositories.tree(repo, commit_id)]
    return {"id": name, "_id": str(repo), "sha": commit_id, "private": False, "siblings": files, "tags": []}
