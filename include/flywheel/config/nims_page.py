"""The page docs/nims.md, written from the catalogue, the price table and the profiles of the repository."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from include.flywheel.config import lora_defaults
from include.flywheel.config.nims import (
    CATALOGUE,
    ICL_CONTEXT_TOKENS_WHERE_UNKNOWN,
    Catalogue,
    Fact,
    Nim,
    NimType,
    read_catalogue,
)
from include.flywheel.config.overrides import CHANGEABLE, MAX_HISTORY
from include.flywheel.config.prices import PRICES, load_prices
from include.flywheel.config.profile import DIRECTORY, load_profile, profile_files

_HEAD = """\
# NIMs and profiles

Written from `include/flywheel/config` by `python -m include.cli.nims page`: change the files there, not this
page.

Which models a run may try is said in `nims.yaml`; which ones it tries, and how, in a profile. A letter behind
a fact names its source, listed below. `?` means not known: nobody may guess it. A NIM of which the image or
the GPUs are not known cannot be chosen until somebody completes its entry. One without a customization target
is evaluated as it is and with examples. Where the context is not known, examples are chosen for {tokens:,}
tokens, the shortest context of any LLM here.

Environment variables put others in their place: `FLYWHEEL_NIMS` and `FLYWHEEL_PRICES` name files,
`FLYWHEEL_PROFILES` a folder that is searched before ours.
"""
_CHANGES = """\
An administrator changes an entry for the runs to come; a run that has begun keeps what it began with, for it
is stored with the run. What can be changed: {fields}. Changes stand in MongoDB (connection `flywheel_runs`,
collection `nim_overrides`) with who made them, when, and the {history} versions before; they are checked like
the file, and who has not seen the last version is refused.

```bash
python -m include.cli.nims list
python -m include.cli.nims set meta/llama-3.1-8b-instruct gpus=2 customization.num_gpus=2
python -m include.cli.nims reset meta/llama-3.1-8b-instruct
```

The same by REST: `GET /api/nims`, `GET` and `PUT /api/nims/NAME`, `DELETE /api/nims/NAME/override`. A NIM
with `enabled: false` is refused where a conf names it, and left out of a profile; the run's events say so.
"""
_PROFILES = """\
A profile is a file in `profiles/`. `extends: NAME` takes over what another says: mappings are merged at every
depth, lists and values are replaced.

`scripts/demo --profile full` starts the stand-in with as many GPUs as the profile has, and asks after its
jobs as often as `laptop` does.
"""
_LORA = """\
Where a profile leaves `training.epochs`, `training.learning_rate` or `training.lora.adapter_dim` out, the
size of the model decides. {source}
"""
_PRICES = """\
USD for a million tokens, of {dated}, from {source}.
Examples: put your own into `prices.yaml`. A run reckons with the first seller.
"""


def page() -> str:
    """The whole page, as Markdown. Raises ConfigError where a file is bad."""
    catalogue = read_catalogue(CATALOGUE)
    parts = [
        _HEAD.format(tokens=ICL_CONTEXT_TOKENS_WHERE_UNKNOWN),
        "## LLM NIMs\n",
        _facts(catalogue, NimType.LLM),
        "## Embedding NIMs\n\nFor embedding jobs; a run of LLMs refuses them.\n",
        _facts(catalogue, NimType.EMBEDDING),
        "## Notes\n",
        "".join(f"- `{nim.name}`: {nim.note}\n" for nim in catalogue.nims if nim.note),
        "## Changing an entry\n",
        _CHANGES.format(fields=", ".join(f"`{name}`" for name in CHANGEABLE), history=MAX_HISTORY),
        "## Profiles\n",
        _PROFILES,
        _profiles(),
        "## LoRA defaults\n",
        _LORA.format(source=lora_defaults.SOURCE),
        _lora(),
        "## Prices\n",
        *_prices(),
        "## Sources\n",
        "".join(f"- **{letter}** {text}\n" for letter, text in catalogue.sources.items()),
    ]
    return "\n".join(parts)


def _facts(catalogue: Catalogue, wanted: NimType) -> str:
    special = "Tools" if wanted is NimType.LLM else "Dimensions"
    heads = ("NIM", "Parameters", "GPUs", "Context", special, "Image", "Target", "Its GPUs", "Longest row")
    nims = [nim for nim in catalogue.nims if nim.type is wanted]
    return _table(heads, ([f"`{nim.name}`", *_cells(nim)] for nim in nims))


def _cells(nim: Nim) -> Iterator[str]:
    def cell(text: str | None, fact: Fact) -> str:
        return "?" if text is None else f"{text} {nim.sources.get(fact, '')}".rstrip()

    def number(value: int | None) -> str | None:
        return None if value is None else f"{value:,}"

    yield cell(_size(nim.parameters), "parameters")
    yield cell(number(nim.gpus), "gpus")
    yield cell(number(nim.context_tokens), "context_tokens")
    if nim.type is NimType.LLM:
        tools = None if nim.tool_calling is None else ("yes" if nim.tool_calling else "no")
        yield cell(tools, "tool_calling")
    else:
        yield cell(number(nim.dimensions), "dimensions")
    yield cell(f"`{nim.image_name}:{nim.image_tag}`" if nim.image_name else None, "image")
    if nim.customization is None:
        yield from ("none", "", "")
    else:
        yield cell(f"`{nim.customization.target}`", "customization")
        yield cell(number(nim.customization.num_gpus), "customization")
        yield cell(number(nim.customization.max_seq_length), "max_seq_length")


def _size(parameters: float) -> str:
    return f"{parameters / 1e9:.3g}B" if parameters >= 1e9 else f"{parameters / 1e6:.3g}M"


def _profiles() -> str:
    rows = []
    for name in sorted(profile_files(DIRECTORY)):
        profile = load_profile(name, DIRECTORY)
        gpus = "no limit" if profile.gpus.total is None else str(profile.gpus.total)
        rows.append([f"`{name}`", str(len(profile.nims)), gpus, profile.description])
    return _table(("Profile", "NIMs", "GPUs", "For"), rows)


def _lora() -> str:
    rows = [
        [
            "larger" if math.isinf(sized.up_to_parameters) else f"up to {_size(sized.up_to_parameters)}",
            str(sized.adapter_dim),
            f"{sized.learning_rate:g}",
            str(sized.epochs),
        ]
        for sized in lora_defaults.DEFAULTS
    ]
    return _table(("Parameters", "Rank (`adapter_dim`)", "Learning rate", "Epochs"), rows)


def _prices() -> Iterator[str]:
    rows = []
    first = None
    for name, offers in load_prices(PRICES).items():
        first = first or offers[0]
        for offer in offers:
            rows.append([f"`{name}`", offer.seller, f"{offer.input_usd:g}", f"{offer.output_usd:g}"])
    if first is not None:
        yield _PRICES.format(dated=first.dated.isoformat(), source=first.source)
        yield _table(("NIM", "Seller", "Input", "Output"), rows)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads)]
    lines.append(["---"] * len(lines[0]))
    lines += [list(row) for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
