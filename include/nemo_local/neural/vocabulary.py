"""The tokenizer: byte-level BPE learnt from the generic text, and control tokens that no text can spell."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

# Letters, digits and signs are cut the same way wherever they stand, so that a value keeps its tokens when
# it is copied from prose into JSON.
_CHUNK = r"""[A-Z]?[a-z]+|[{}\[\]":,]+|[\s\S]"""


class Control(IntEnum):
    """Tokens beside the text's own; they stand after the vocabulary."""

    PAD = 0
    TOOLS = 1
    SYSTEM = 2
    USER = 3
    RESULT = 4
    CALL = 5
    TEXT = 6
    END = 7


class Vocabulary:
    """Encodes and decodes text; `id_of` gives the ids of control tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._words: int = tokenizer.get_vocab_size()

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> Vocabulary:
        """A vocabulary of at most `size` tokens, control tokens included."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_CHUNK), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size - len(Control),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, text: str) -> Vocabulary:
        """Reads what `dump` gave. Raises ValueError for anything else."""
        try:
            return cls(Tokenizer.from_str(text))
        except Exception as error:  # the library raises bare Exceptions
            raise ValueError(f"no tokenizer: {error}") from error

    def dump(self) -> str:
        """The vocabulary as JSON text."""
        return str(self._tokenizer.to_str())

    def __len__(self) -> int:
        return self._words + len(Control)

    def id_of(self, control: Control) -> int:
        return self._words + control

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; lone surrogates become question marks."""
        return list(self._tokenizer.encode(text.encode("utf-8", "replace").decode()).ids)

    def decode(self, ids: list[int]) -> str:
        """The text of tokens without control tokens; bytes that are no UTF-8 become U+FFFD."""
        return str(self._tokenizer.decode([each for each in ids if each < self._words]))

    def split(self, ids: list[int]) -> list[tuple[Control, str]]:
        """Each control token with the text up to the next one; text before the first is left out."""
        starts = [n for n, each in enumerate(ids) if each >= self._words]
        ends = [*starts, len(ids)][1:]
        return [
            (Control(ids[start] - self._words), self.decode(ids[start + 1 : end]))
            for start, end in zip(starts, ends, strict=True)
        ]
