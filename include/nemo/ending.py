"""The end of what stands under one project: jobs, deployments, models.

Everything may be repeated. Each function returns how much it still found; the caller asks again until that
is nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from include.nemo import customizer, deployments, entities, evaluator
from include.nemo.call import Call, split_name
from include.nemo.client import NemoClient
from include.nemo.datastore import DataStore
from include.nemo.errors import Conflict, Invalid, NotFound

log = logging.getLogger(__name__)

NamePredicate = Callable[[str], bool]


def told_to_end(nemo: NemoClient, call: Call[Any]) -> None:
    """Send a cancel or an undeploy; what is gone, going or over already is what was wanted.

    Only for callers that look afterwards: a service refuses what it cannot end with the same words.
    """
    try:
        nemo.send(call)
    except (NotFound, Conflict, Invalid) as error:
        log.info("nothing to end: %s", error)


def removed(nemo: NemoClient, call: Call[Any]) -> None:
    """Send a delete; what is gone already is what was wanted."""
    try:
        nemo.send(call)
    except NotFound as error:
        log.info("nothing to remove: %s", error)


def cancel_jobs(
    nemo: NemoClient,
    namespace: str,
    project: str,
    custom_fields: Mapping[str, str] | None = None,
    services: Sequence[Any] = (customizer, evaluator),
) -> int:
    """Cancel the live jobs of a project, of those with these custom fields; returns how many were live."""
    live = 0
    for service in services:
        for job in nemo.collect(
            service.list_jobs(namespace=namespace, project=project, custom_fields=custom_fields or {})
        ):
            if not job.state.is_terminal:
                live += 1
                log.info("cancelling %s", job.id)
                told_to_end(nemo, service.cancel_job(job.id))
    return live


def undeploy(nemo: NemoClient, namespace: str, project: str, is_ours: NamePredicate) -> int:
    """Undeploy what stands under the project with names of ours; returns how many were found."""
    found = [
        one
        for one in nemo.collect(deployments.list_all(namespace=namespace, project=project))
        if one.name is not None and one.state != "deleted" and is_ours(one.name)
    ]
    for one in found:
        told_to_end(nemo, deployments.delete(namespace, str(one.name)))
    return len(found)


def delete_evaluations(nemo: NemoClient, namespace: str, project: str) -> int:
    """Delete the project's evaluation jobs with their results, the live ones once their cancel has come
    through; returns how many were found.
    """
    found = nemo.collect(evaluator.list_jobs(namespace=namespace, project=project))
    for job in found:
        if job.state.is_terminal:
            removed(nemo, evaluator.delete_job(str(job.id)))
        else:
            told_to_end(nemo, evaluator.cancel_job(str(job.id)))
    return len(found)


def delete_models(
    nemo: NemoClient, store: DataStore, namespace: str, project: str, is_ours: NamePredicate
) -> None:
    """Delete the models that the project's customizations made: their files, then their entries.

    Found by the jobs, which the Customizer keeps for ever, and by the entries: either may be missing.
    """
    names = {
        one.name
        for one in nemo.collect(entities.list_models(namespace=namespace, project=project))
        if one.project == project and one.name
    }
    for job in nemo.collect(customizer.list_jobs(namespace=namespace, project=project)):
        if job.output_model:
            where, name = split_name(job.output_model)
            names |= {name} if where == namespace else set()
    for name in sorted(one for one in names if is_ours(one)):
        # An entry is `repo@revision`; another entry of the repo finds no files any more.
        store.delete_repo(f"{namespace}/{name.partition('@')[0]}", "model")
        removed(nemo, entities.delete_model(namespace, name))


def delete_dataset(nemo: NemoClient, store: DataStore, namespace: str, name: str) -> None:
    """Delete a data set: its files, then its entry, by which it is found again."""
    store.delete_repo(f"{namespace}/{name}")
    removed(nemo, entities.delete_dataset(namespace, name))
