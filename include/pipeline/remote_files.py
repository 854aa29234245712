"""Where the files of a run's data set stand in the Data Store."""

from __future__ import annotations

from include.flywheel.datasets.spec import CORPUS_FILE, QRELS_FILE, QUERIES_FILE, TRAIN_FILE, VAL_FILE

# The Customizer looks for the folders `training` and `validation`.
REMOTE_FOLDERS = {TRAIN_FILE: "training", VAL_FILE: "validation"}
# As the evaluator looks for a BEIR data set below one folder.
BEIR_FOLDER = "testing/beir"
_BEIR_PATHS = {
    CORPUS_FILE: f"{BEIR_FOLDER}/corpus.jsonl",
    QUERIES_FILE: f"{BEIR_FOLDER}/queries.jsonl",
    QRELS_FILE: f"{BEIR_FOLDER}/qrels/test.tsv",
}


def remote_path(name: str) -> str:
    """Where a file of that name stands in the Data Store."""
    return _BEIR_PATHS.get(name) or f"{REMOTE_FOLDERS.get(name, 'testing')}/{name}"
