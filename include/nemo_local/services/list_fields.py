"""What each list can be filtered by and searched for: the parameters of the official SDK, and no more.

A filter that the services do not have is refused here, so that nobody comes to rely on one.
"""

from __future__ import annotations

from include.nemo_local.listing import ListFields

_SHARED = "id description namespace project custom_fields ownership created_at updated_at"


def _fields(filters: str, search: str | None = None) -> ListFields:
    words = f"{_SHARED} {search}".split() if search is not None else []
    return ListFields(frozenset(filters.split()), frozenset(words))


LIST_FIELDS = {
    "/v1/namespaces": _fields("namespace project", ""),
    "/v1/projects": _fields("name namespace", "name"),
    "/v1/datasets": _fields("namespace project", "name files_url format hf_endpoint limit split"),
    "/v1/models": _fields(
        "base_model created_at namespace peft project prompt",
        "name api_endpoint artifact base_model guardrails peft prompt spec",
    ),
    "/v1/customization/targets": _fields("base_model enabled name namespace status"),
    "/v1/customization/configs": _fields(
        "finetuning_type name namespace target_base_model target_enabled target_name training_type"
    ),
    "/v1/customization/jobs": _fields(
        "base_model batch_size dataset epochs finetuning_type log_every_n_steps namespace project status "
        "training_type"
    ),
    "/v1/deployment/configs": ListFields(search=frozenset()),
    "/v1/deployment/model-deployments": ListFields(search=frozenset()),
    "/v1/evaluation/targets": _fields(
        "created_at custom_fields model name namespace project type",
        "name cached_outputs dataset model rag retriever rows type",
    ),
    "/v1/evaluation/configs": _fields(
        "created_at custom_fields name namespace project type", "name groups params tasks type"
    ),
    "/v1/evaluation/jobs": _fields(
        "config created_at custom_fields namespace project status target",
        "config output_files_url result status status_details target",
    ),
    "/v1/evaluation/results": _fields("job_id", "files_url groups job tasks"),
}
"""By the path of the list. Customizer and Deployment have no search; which filters Deployment has is open."""
