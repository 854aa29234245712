"""A deployment, made once however often it is asked for."""

from __future__ import annotations

from include.flywheel.config.nims import Nim, NimType
from include.nemo import NemoClient, deployments
from include.nemo.errors import Conflict, NotFound
from include.nemo.models import Deployment


def deploy_once(
    nemo: NemoClient, namespace: str, name: str, nim: Nim, project: str, *, model: str | None = None
) -> Deployment:
    """The deployment of that name; one that has failed is replaced.

    :param model: what the NIM's image is to serve; the NIM's own model by default.
    """
    try:
        found = nemo.send(deployments.get(namespace, name))
        if not found.state.is_terminal or found.state.ok:
            return found
        nemo.send(deployments.delete(namespace, name))
    except NotFound:
        pass
    envs = {"NIM_GUIDED_DECODING_BACKEND": "outlines"} if nim.type is NimType.LLM else {}
    envs = {"NIM_GUIDED_DECODING_BACKEND": "outlines"} if nim.type is NimType.LLM else {}
    config = {
        "model": model or nim.name,
        "nim_deployment": {
            "image_name": nim.image_name,
            "image_tag": nim.image_tag,
            "gpu": nim.gpus,
            "pvc_size": "50Gi",
            "additional_envs": envs,
        },
    }
    try:
        return nemo.send(deployments.create(namespace, name, config=config, project=project))
    except Conflict:
        return nemo.send(deployments.get(namespace, name))
