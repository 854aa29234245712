"""What the customization of an embedding model leaves behind: how it turns the vectors of its base.

The file is one `.npz` of plain arrays (no pickle), without timestamps: equal training gives equal bytes.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from include.nemo_local.engine.embedding import Embedder, InputType, embed, length_of
from include.nemo_local.engine.errors import BadAdapter

FORMAT = 1
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(slots=True)
class EmbeddingWeights:
    """The learnt part of a linear map: x[`places`] becomes x[`places`] + `change` · x[`places`].

    `places`: shape (met,), those of the base's vector that training has met, ascending. `change`: shape
    (met, met). `facts`: how it was fitted, for people.
    """

    places: np.ndarray
    change: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)

    def embed(
        self, text: str, embedder: Embedder, input_type: InputType, dimensions: int | None = None
    ) -> np.ndarray:
        """As `embedding.embed`; the places beyond `dimensions` are folded onto the others."""
        length = length_of(embedder, dimensions)
        vector = embed(text, embedder, input_type)
        moved = vector.copy()
        moved[self.places] += self.change @ vector[self.places]
        moved = np.bincount(np.arange(len(moved)) % length, moved, length)
        norm = float(np.linalg.norm(moved))
        return np.asarray(moved / norm) if norm > 0 else np.eye(1, length)[0]

    def save(self, path: Path) -> None:
        """Writes the weights; a reader sees the old file or the new one, never half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(self._bytes())
        partial.replace(path)

    def _bytes(self) -> bytes:
        document = json.dumps({"format": FORMAT, "facts": self.facts}, sort_keys=True).encode()
        arrays = {
            "places": self.places.astype(np.int64),
            "change": self.change.astype(np.float32),
            "document": np.frombuffer(document, dtype=np.uint8),
        }
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, array in arrays.items():
                member = io.BytesIO()
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(name + ".npy", _EPOCH), member.getvalue())
        return out.getvalue()

    @classmethod
    def load(cls, path: Path) -> "EmbeddingWeights":
        """Reads what `save` wrote. Raises BadAdapter for anything else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls._from(json.loads(arrays["document"].tobytes()), arrays)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise BadAdapter(f"weights file {path} cannot be read ({error}): train again") from error

    @classmethod
    def _from(cls, document: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> "EmbeddingWeights":
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, not {FORMAT}")
        return cls(arrays["places"], arrays["change"], document["facts"])
