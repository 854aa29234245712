"""`job_type` decides which NIMs may be tried, and which profile holds where none is named."""

from __future__ import annotations

from typing import Any

import pytest

from include.flywheel.config.conf import resolve
from include.flywheel.config.nims import NimType, load_catalogue
from include.flywheel.config.profile import load_profile
from include.flywheel.config.workload import Workload
from include.flywheel.errors import ConfigError

CONF = {"client_id": "c", "workload_id": "w"}
JOB = CONF | {"job_type": "embedding_job"}
NIM = "nvidia/llama-3.2-nv-embedqa-1b-v2"


def test_an_embedding_job_has_the_profile_of_that_name_where_none_is_said() -> None:
    config = resolve(JOB, None)
    assert (config.config_name, config.is_embedding, [nim.name for nim in config.nims]) == (
        "embedding",
        True,
        [NIM],
    )
    assert resolve(CONF, None).config_name == "laptop"


def test_a_profile_that_is_said_holds() -> None:
    workload = Workload(client_id="c", workload_id="w", profile="starter")
    config = resolve(JOB | {"nims": [NIM]}, workload)
    assert config.config_name == "starter"
    assert resolve(JOB | {"config_name": "laptop", "nims": [NIM]}, workload).config_name == "laptop"


def test_the_profile_names_every_embedding_nim_that_can_be_deployed_and_customized() -> None:
    able = {
        name
        for name, nim in load_catalogue().items()
        if nim.type is NimType.EMBEDDING and nim.customization and not nim.unknown_to_deploy
    }
    assert set(load_profile("embedding").nims) == able


@pytest.mark.parametrize(
    ("conf", "says"),
    [
        (
            JOB | {"config_name": "laptop"},
            r"`nims` names 'meta/llama-3.2-1b-instruct': its `type` is 'llm', but this job evaluates NIMs of "
            r"type 'embedding'; choose among: .*; or correct `job_type` = 'embedding_job', or `config_name` "
            r"= 'laptop'",
        ),
        (CONF | {"nims": [NIM]}, r"its `type` is 'embedding'.* or correct `job_type` = 'llm_job'"),
        (CONF | {"job_type": "reranker_job"}, r"`job_type` = 'reranker_job'.*'llm_job' or 'embedding_job'"),
        (JOB | {"nims": ["nvidia/nv-embedqa-mistral-7b-v2"]}, r"does not know its `gpus`"),
    ],
)
def test_what_does_not_fit_names_field_value_and_remedy(conf: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        resolve(conf, None)


def test_triplets_come_from_the_profile_into_the_data_sets_spec() -> None:
    config = resolve(JOB, None)
    assert config.dataset_spec().triplets == config.triplets == load_profile("embedding").triplets
