"""Bodies of the Customizer: targets, configurations and jobs, with the defaults that it fills in."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.nemo_local.services.entities import EntityIn, Name

TrainingType = Literal["sft", "distillation", "dpo", "grpo"]
FinetuningType = Literal["lora", "lora_merged", "all_weights"]


class TrainingOption(BaseModel):
    """One way of training that a configuration allows, and the GPUs that it takes."""

    model_config = ConfigDict(extra="allow")

    training_type: TrainingType
    finetuning_type: FinetuningType
    num_gpus: int = Field(ge=0)
    num_nodes: int = Field(default=1, ge=1)
    tensor_parallel_size: int = Field(default=1, ge=1)
    data_parallel_size: int | None = None
    use_sequence_parallel: bool = False
    micro_batch_size: int = Field(default=1, ge=1)


class TargetIn(EntityIn):
    """A model that can be trained."""

    base_model: str | None = None
    enabled: bool = True
    model_path: str
    num_parameters: int = Field(ge=1)
    precision: str
    status: str = "ready"


class ConfigIn(EntityIn):
    """A configuration: a target, given by ``namespace/name`` or in place, and its training options."""

    target: str | dict[str, Any]
    training_options: list[TrainingOption] = Field(min_length=1)
    training_precision: str = "bf16-mixed"
    max_seq_length: int = Field(ge=1)
    prompt_template: str | None = "{prompt} {completion}"


class Lora(BaseModel):
    """The adapter's size."""

    model_config = ConfigDict(extra="allow")

    adapter_dim: int = Field(default=8, ge=1, le=1024)
    alpha: int = 16
    adapter_dropout: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _power_of_two(self) -> "Lora":
        if self.adapter_dim & (self.adapter_dim - 1):
            raise ValueError(f"adapter_dim must be a power of 2, not {self.adapter_dim}")
        return self


class HyperparametersIn(BaseModel):
    """How to train. Where a job says nothing, the documented example holds: batch 8, 50 epochs, rate 1e-4."""

    model_config = ConfigDict(extra="allow")

    training_type: TrainingType = "sft"
    finetuning_type: FinetuningType
    epochs: int = Field(default=50, ge=1, le=1000)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    lora: Lora | None = None
    seed: int | None = Field(default=None, ge=0)
    max_steps: int = -1
    warmup_steps: int = 200
    log_every_n_steps: int = 10
    optimizer: str = "adamw_with_cosine_annealing"
    adam_beta1: float = 0.9

    @model_validator(mode="after")
    def _lora_defaults(self) -> "HyperparametersIn":
        if self.finetuning_type.startswith("lora") and self.lora is None:
            self.lora = Lora()
        return self


class DatasetRef(BaseModel):
    """A dataset entity by name."""

    model_config = ConfigDict(extra="allow")

    name: str
    namespace: str = "default"


class JobIn(BaseModel):
    """Body of create. ``config`` is ``namespace/name@version`` or given in place."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    name: Name | None = None
    namespace: Name = "default"
    description: str | None = None
    project: str | None = None
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    config: str | ConfigIn
    dataset: str | DatasetRef
    hyperparameters: HyperparametersIn
    output_model: str | None = None

    def dataset_name(self) -> tuple[str, str]:
        """Namespace and name of the dataset."""
        if isinstance(self.dataset, DatasetRef):
            return self.dataset.namespace, self.dataset.name
        namespace, _, name = self.dataset.rpartition("/")
        return namespace or self.namespace, name
