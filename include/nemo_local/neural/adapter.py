"""A LoRA adapter and its file: one safetensors file, whose header says how it was made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from include.nemo_local.engine.errors import BadAdapter

FORMAT = 1
FILE_NAME = "adapter_model.safetensors"
_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_ALPHA_PER_DIM = 2


def lora_config(adapter_dim: int, dropout: float = 0.0) -> LoraConfig:
    """LoRA on all linear layers; its weight does not depend on `adapter_dim`."""
    return LoraConfig(
        r=adapter_dim,
        lora_alpha=_ALPHA_PER_DIM * adapter_dim,
        lora_dropout=dropout,
        target_modules=_TARGETS,
        task_type="CAUSAL_LM",
    )


@dataclass(frozen=True)
class NeuralAdapter:
    """Learnt weights on top of one base. `facts`: how it was fitted, for people."""

    base_digest: str
    adapter_dim: int
    weights: dict[str, torch.Tensor]
    facts: dict[str, Any] = field(default_factory=dict)

    def _bytes(self) -> bytes:
        document = {
            "format": FORMAT,
            "base_digest": self.base_digest,
            "adapter_dim": self.adapter_dim,
            "facts": self.facts,
        }
        made: bytes = save(self.weights, metadata={"document": json.dumps(document, sort_keys=True)})
        return made

    @property
    def digest(self) -> str:
        """SHA-256 of what `save` writes, hexadecimal."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def save(self, path: Path) -> None:
        """Writes the adapter; a reader sees the old file or the new one, never half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(self._bytes())
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> NeuralAdapter:
        """Reads what `save` wrote. Raises BadAdapter for anything else."""
        try:
            with safe_open(path, framework="pt") as file:
                document = json.loads((file.metadata() or {})["document"])
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return cls._from(document, weights)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise BadAdapter(f"adapter file {path} cannot be read ({error}): fit it again") from error

    @classmethod
    def _from(cls, document: dict[str, Any], weights: dict[str, torch.Tensor]) -> NeuralAdapter:
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, not {FORMAT}")
        return cls(document["base_digest"], document["adapter_dim"], weights, document["facts"])
