"""What a customization leaves behind, and its file.

The file is one `.npz` of plain arrays (no pickle): weights as the indices and values that are not zero, and
one JSON document for the rest. It has no timestamps: equal training gives equal bytes.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from include.nemo_local.engine.errors import BadAdapter
from include.nemo_local.engine.linear import Chooser, Ranker
from include.nemo_local.engine.memory import Memory
from include.nemo_local.engine.slots import Knowledge

FORMAT = 3
NO_TOOL = ""
"""The class of turns that are answered in text."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(slots=True)
class Adapter:
    """Learnt weights on top of a model of some capacity.

    `classes`: tool names, `NO_TOOL`, and texts that are answers by themselves (`"=" + text`). `replies`:
    answers in text that were seen, with the moments that they answered. `facts`: how it was
    fitted, for people.
    """

    classes: list[str]
    chooser: Chooser
    ranker: Ranker
    known: dict[str, Knowledge]
    replies: Memory = field(default_factory=Memory)
    facts: dict[str, Any] = field(default_factory=dict)

    def _document(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "classes": self.classes,
            "chooser_shape": list(self.chooser.weights.shape),
            "ranker_size": len(self.ranker.weights),
            "known": {
                path: {"shapes": sorted(each.shapes), "constants": list(each.constants)}
                for path, each in sorted(self.known.items())
            },
            "replies": [[codes, text] for codes, text in self.replies.pairs],
            "facts": self.facts,
        }

    def _bytes(self) -> bytes:
        rows = np.flatnonzero(np.any(self.chooser.weights != 0, axis=1)).astype(np.int64)
        cells = np.flatnonzero(self.ranker.weights).astype(np.int64)
        document = json.dumps(self._document(), sort_keys=True, ensure_ascii=True).encode()
        arrays = {
            "chooser_rows": rows,
            "chooser_weights": self.chooser.weights[rows].astype(np.float32),
            "ranker_cells": cells,
            "ranker_weights": self.ranker.weights[cells].astype(np.float32),
            "document": np.frombuffer(document, dtype=np.uint8),
        }
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(name + ".npy", _EPOCH), member.getvalue())
        return out.getvalue()

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
    def load(cls, path: Path) -> "Adapter":
        """Reads what `save` wrote. Raises BadAdapter for anything else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                document = json.loads(arrays["document"].tobytes())
                return cls._from(document, arrays)
        except (OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
            raise BadAdapter(f"adapter file {path} cannot be read ({error}): fit it again") from error

    @classmethod
    def _from(cls, document: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> "Adapter":
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, not {FORMAT}")
        chooser = Chooser(*document["chooser_shape"])
        chooser.weights[arrays["chooser_rows"]] = arrays["chooser_weights"]
        ranker = Ranker(document["ranker_size"])
        ranker.weights[arrays["ranker_cells"]] = arrays["ranker_weights"]
        known = {
            slot: Knowledge(frozenset(each["shapes"]), tuple(each["constants"]))
            for slot, each in document["known"].items()
        }
        replies = Memory([(list(codes), text) for codes, text in document["replies"]])
        return cls(document["classes"], chooser, ranker, known, replies, document["facts"])
