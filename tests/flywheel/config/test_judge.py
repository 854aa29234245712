"""Who may judge: what a profile and a conf may say, and which hosts answers may be sent to."""

from __future__ import annotations

from typing import Any

import pytest

from include.flywheel.config.conf import resolve
from include.flywheel.config.judge import HOSTS_VARIABLE, JudgeConfig, check_host, overridden
from include.flywheel.errors import ConfigError

CONF = {"client_id": "c", "workload_id": "w"}
LOCAL = {"type": "local", "model": "meta/llama-3.1-8b-instruct"}
REMOTE = {"type": "remote", "model": "big", "url": "https://judge.example/v1", "conn_id": "judge"}


def test_without_a_word_nobody_judges() -> None:
    config = resolve(CONF, None)
    assert (config.judge, config.judge_nim) == (None, None)


def test_a_local_judge_is_stored_with_what_its_deployment_needs() -> None:
    config = resolve({**CONF, "judge": LOCAL}, None)
    assert config.judge is not None
    assert (config.judge.temperature, config.judge.max_retries) == (0, 3)
    assert config.judge_nim is not None
    assert config.judge_nim.name == LOCAL["model"]
    assert config.judge_nim.gpus == 1


def test_a_remote_judge_has_no_nim_and_no_key_in_the_configuration() -> None:
    config = resolve({**CONF, "judge": REMOTE}, None)
    assert config.judge_nim is None
    assert config.judge is not None
    assert set(config.judge.model_dump()) & {"key", "password", "api_key"} == set()


def test_a_conf_changes_keys_of_the_profiles_judge_alone() -> None:
    profile = JudgeConfig.model_validate(LOCAL | {"parallelism": 2})
    changed = overridden(profile, {"max_retries": 0})
    assert changed == JudgeConfig.model_validate(LOCAL | {"parallelism": 2, "max_retries": 0})
    assert overridden(profile, None) == profile
    assert overridden(profile, {"type": "none"}) is None


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        ({"type": "local"}, ("model", "missing")),
        ({"type": "local", "model": "nobody/knows"}, ("`judge.model`", "nobody/knows", "known are")),
        ({"type": "local", "model": "nvidia/llama-3.2-nv-embedqa-1b-v2"}, ("`judge.model`", "embedding")),
        (LOCAL | {"url": "https://x"}, ("local judge", "leave them out")),
        ({"type": "remote", "model": "m"}, ("needs `url`", "conn_id")),
        (REMOTE | {"url": "ftp://x"}, ("ftp://x", "https://")),
        (REMOTE | {"url": "https://me:key@x/v1"}, ("credentials", "conn_id")),
        (REMOTE | {"api_key": "s"}, ("api_key", "unknown key")),
        (LOCAL | {"parallelism": 0}, ("parallelism",)),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(judge: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve({**CONF, "judge": judge}, None)
    for word in words:
        assert word in str(refused.value)


def test_only_hosts_on_the_list_may_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOSTS_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match=f"judge.example.*none is.*{HOSTS_VARIABLE}"):
        check_host("https://judge.example/v1")
    monkeypatch.setenv(HOSTS_VARIABLE, "other.example, JUDGE.example")
    check_host("https://judge.example:8443/v1")
    for stranger in (
        "https://judge.example.evil/v1",
        "https://evil/judge.example",
        "https://judge.example@evil/",
    ):
        with pytest.raises(ConfigError):
            check_host(stranger)
