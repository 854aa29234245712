"""Facts about models: the preinstalled targets, their configurations (for 80 GB GPUs), contexts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from include.nemo_local import clock
from include.nemo_local.errors import DuplicateRecord
from include.nemo_local.store import Record, Store

TARGET = "customization_target"
CONFIG = "customization_config"
_CONFIG_VERSION = "v1.0.0+A100"
_MAX_SEQ_LENGTH = 4096

_CONTEXT_TOKENS = 131_072
# Models with a shorter context than most, by a part of their name (published limits).
_SHORT_CONTEXTS = {
    "phi-4": 16_384,
    "llama3-70b": 8_192,
    "gemma-2": 8_192,
    "mixtral-8x7b": 32_768,
    "qwen2.5-7b": 32_768,
    "qwen3-32b": 40_960,
}


def context_tokens(model: str) -> int:
    """Tokens of prompt and answer together that a model takes."""
    return next((limit for part, limit in _SHORT_CONTEXTS.items() if part in model), _CONTEXT_TOKENS)


@dataclass(frozen=True)
class TargetSpec:
    """A model that can be customized; ``gpus`` are the 80 GB GPUs of one training.

    ``target`` and ``config`` are names in the model's namespace.
    """

    base_model: str
    target: str
    config: str
    parameters: int
    gpus: int
    finetuning_type: str = "lora"
    max_seq_length: int = _MAX_SEQ_LENGTH


def _chat(base_model: str, parameters: int, gpus: int) -> TargetSpec:
    name = base_model.partition("/")[2]
    return TargetSpec(base_model, f"{name}@2.0", f"{name}@{_CONFIG_VERSION}", parameters, gpus)


# Their targets are called otherwise than the NIMs. base_model is the NIM's name, as whoever installs NeMo has
# to set it: what is trained is served by the NIM of that name.
_NEMOTRONS = (
    TargetSpec(
        "nvidia/llama-3.1-nemotron-nano-8b-v1",
        "nemotron-nano-llama-3.1-8b@1.0",
        f"nemotron-nano-llama-3.1-8b@{_CONFIG_VERSION}",
        8_000_000_000,
        1,
    ),
    TargetSpec(
        "nvidia/llama-3.3-nemotron-super-49b-v1",
        "nemotron-super-llama-3.3-49b@1.0",
        f"nemotron-super-llama-3.3-49b@{_CONFIG_VERSION}",
        49_000_000_000,
        4,
    ),
    TargetSpec(
        "nvidia/llama-3.3-nemotron-super-49b-v1.5",
        "nemotron-super-llama-3.3-49b@1.5",
        "nemotron-super-llama-3.3-49b@v1.5.0+A100",
        49_000_000_000,
        4,
    ),
)

TARGETS = (
    _chat("meta/llama-3.2-1b-instruct", 1_000_000_000, 1),
    _chat("meta/llama-3.2-3b-instruct", 3_000_000_000, 1),
    _chat("meta/llama-3.1-8b-instruct", 8_000_000_000, 1),
    _chat("meta/llama-3.1-70b-instruct", 70_000_000_000, 4),
    _chat("meta/llama-3.3-70b-instruct", 70_000_000_000, 4),
    _chat("meta/llama3-70b-instruct", 70_000_000_000, 4),
    _chat("meta/llama-3.2-1b", 1_000_000_000, 1),
    TargetSpec("microsoft/phi-4", "phi-4@1.0", f"phi-4@{_CONFIG_VERSION}", 14_659_507_200, 1),
    *_NEMOTRONS,
    TargetSpec(
        "nvidia/llama-3.2-nv-embedqa-1b-v2",
        "llama-3.2-nv-embedqa-1b@v2",
        "llama-3.2-nv-embedqa-1b@v2+A100",
        1_236_000_000,
        1,
        "all_weights",
        2048,
    ),
)


def install(store: Store) -> None:
    """Adds what is missing; a target or configuration that somebody changed stays as it is."""
    for record in _records():
        try:
            store.insert(record)
        except DuplicateRecord:
            continue


def _records() -> Iterator[Record]:
    for spec in TARGETS:
        namespace, _, model = spec.base_model.partition("/")
        target = _entity("customization-target", namespace, spec.target) | {
            "base_model": spec.base_model,
            "enabled": True,
            "model_path": f"{model}_2_0",
            "num_parameters": spec.parameters,
            "precision": "bf16-mixed",
            "status": "ready",
        }
        yield Record(TARGET, target["id"], namespace, target["name"], target)
        config = _entity("cust-config", namespace, spec.config) | {
            "target": target,
            "max_seq_length": spec.max_seq_length,
            "training_precision": "bf16-mixed",
            "prompt_template": "{prompt} {completion}",
            "training_options": [training_option(spec.finetuning_type, spec.gpus)],
        }
        yield Record(CONFIG, config["id"], namespace, config["name"], config)


def training_option(finetuning_type: str, gpus: int) -> dict[str, Any]:
    """The training option of a default configuration."""
    return {
        "training_type": "sft",
        "finetuning_type": finetuning_type,
        "num_gpus": gpus,
        "num_nodes": 1,
        "tensor_parallel_size": gpus,
        "data_parallel_size": 1,
        "use_sequence_parallel": False,
        "micro_batch_size": 1,
    }


def _entity(prefix: str, namespace: str, name: str) -> dict[str, Any]:
    moment = clock.stamp()
    return {
        "id": clock.new_id(prefix),
        "name": name,
        "namespace": namespace,
        "created_at": moment,
        "updated_at": moment,
        "custom_fields": {},
    }
