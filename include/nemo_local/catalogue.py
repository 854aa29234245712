"""Facts about models: the preinstalled targets, their configurations (LoRA on 80 GB GPUs), contexts."""

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
    """A model that can be customized; ``lora_gpus`` are the 80 GB GPUs of one LoRA training."""

    base_model: str
    version: str
    parameters: int
    lora_gpus: int


TARGETS = (
    TargetSpec("meta/llama-3.2-1b-instruct", "2.0", 1_000_000_000, 1),
    TargetSpec("meta/llama-3.2-3b-instruct", "2.0", 3_000_000_000, 1),
    TargetSpec("meta/llama-3.1-8b-instruct", "2.0", 8_000_000_000, 1),
    TargetSpec("meta/llama-3.1-70b-instruct", "2.0", 70_000_000_000, 4),
    TargetSpec("meta/llama-3.3-70b-instruct", "2.0", 70_000_000_000, 4),
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
        target = _entity("customization-target", namespace, f"{model}@{spec.version}") | {
            "base_model": spec.base_model,
            "enabled": True,
            "model_path": f"{model}_2_0",
            "num_parameters": spec.parameters,
            "precision": "bf16-mixed",
            "status": "ready",
        }
        yield Record(TARGET, target["id"], namespace, target["name"], target)
        config = _entity("cust-config", namespace, f"{model}@{_CONFIG_VERSION}") | {
            "target": target,
            "max_seq_length": _MAX_SEQ_LENGTH,
            "training_precision": "bf16-mixed",
            "prompt_template": "{prompt} {completion}",
            "training_options": [lora_option(spec.lora_gpus)],
        }
        yield Record(CONFIG, config["id"], namespace, config["name"], config)


def lora_option(gpus: int) -> dict[str, Any]:
    """The training option of a default configuration."""
    return {
        "training_type": "sft",
        "finetuning_type": "lora",
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
