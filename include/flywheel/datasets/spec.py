"""How a dataset is made of the records of a workload."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.datasets.embedding.config import TripletConfig
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.kinds import Kind
from include.flywheel.datasets.split import SplitConfig, Strategy

TRAIN_FILE, VAL_FILE, EVAL_FILE = "train.jsonl", "val.jsonl", "eval.jsonl"
CORPUS_FILE, QUERIES_FILE, QRELS_FILE = "corpus.jsonl", "queries.jsonl", "qrels.tsv"
"""The holdout of an embedding job, in the parts that BEIR has."""


class DatasetSpec(BaseModel):
    """How a dataset is made of the records of a workload."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: SplitConfig = SplitConfig()
    strategy: Strategy = Strategy.STRATIFIED
    kind: Kind | None = Field(default=None, description="null: found by the shares of the records.")
    stratify_by: str | None = Field(
        default=None,
        description="`tool`, `label`, `intent` or a top-level field of the records; "
        "null: what suits the kind.",
    )
    icl: IclConfig | None = Field(default=IclConfig(), description="null: no ICL file is written.")
    icl_contexts: tuple[int, ...] = Field(
        default=(),
        description="Context lengths of the models, tokens; each gets an ICL file of its own. "
        "Empty: `icl.max_context_length` alone.",
    )
    triplets: TripletConfig = Field(default=TripletConfig(), description="For embedding jobs.")
    seed: int = Field(default=0, description="The run's seed; `split.random_seed` overrides it.")

    @property
    def effective_seed(self) -> int:
        """The seed that is used."""
        return self.seed if self.split.random_seed is None else self.split.random_seed

    def context_tokens(self, model_tokens: int) -> int:
        """The context length to which the ICL file of a model is written."""
        return min(model_tokens, self.icl.max_context_length) if self.icl else model_tokens


def icl_file(context_tokens: int) -> str:
    """Name of the ICL file for that context length."""
    return f"icl-{context_tokens}.jsonl"
