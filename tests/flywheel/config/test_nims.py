"""The NIM catalogue and its prices: what the repository ships, and what a bad file of one's own is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from include.flywheel.config.nims import (
    CATALOGUE,
    ICL_CONTEXT_TOKENS_WHERE_UNKNOWN,
    Fact,
    Nim,
    NimType,
    load_catalogue,
    read_catalogue,
    select,
)
from include.flywheel.config.prices import PRICES, load_prices
from include.flywheel.errors import ConfigError, UnknownName

SHIPPED = read_catalogue(CATALOGUE)
NIM = "{name: %s, image_name: i, image_tag: '1', parameters: 1.0e+9, gpus: 1, context_tokens: 8}"
BARE = "{name: %s, parameters: 1.0e+9}"


def write(folder: Path, *nims: str, head: str = "") -> Path:
    file = folder / "nims.yaml"
    file.write_text(f"{head}\nnims: [{', '.join(nims)}]")
    return file


@pytest.mark.parametrize("nim", SHIPPED.nims, ids=lambda nim: nim.name)
def test_every_fact_of_the_repository_has_its_source_and_every_source_a_fact(nim: Nim) -> None:
    stated = {fact for fact in get_args(Fact) if getattr(nim, fact, None) is not None}
    if nim.image_name is not None:
        stated.add("image")
        assert nim.image_name.startswith("nvcr.io/nim/")
        assert nim.image_tag is not None
    if nim.customization is not None and "max_seq_length" in nim.customization.model_fields_set:
        stated.add("max_seq_length")
    assert set(nim.sources) == stated
    assert re.fullmatch(r"[A-Za-z0-9._-]+", nim.slug)


def test_every_listed_source_is_somebodys() -> None:
    used = {letter for nim in SHIPPED.nims for said in nim.sources.values() for letter in said.split()}
    assert used == set(SHIPPED.sources)


def test_a_training_splits_its_model_over_all_its_gpus() -> None:
    for nim in SHIPPED.nims:
        if nim.customization is not None:
            assert nim.customization.tensor_parallel_size == nim.customization.num_gpus
            assert re.fullmatch(r"[a-z]+/[a-z0-9.-]+@v?[0-9.]+", nim.customization.target)


def test_the_context_taken_where_none_is_known_is_the_shortest_known() -> None:
    known = [nim.context_tokens for nim in SHIPPED.nims if nim.type is NimType.LLM and nim.context_tokens]
    assert min(known) == ICL_CONTEXT_TOKENS_WHERE_UNKNOWN
    by_name = {nim.name: nim for nim in SHIPPED.nims}
    assert by_name["meta/llama-3.1-8b-instruct"].icl_context_tokens == 131_072
    assert by_name["google/gemma-2b-it"].icl_context_tokens == ICL_CONTEXT_TOKENS_WHERE_UNKNOWN


def test_prices_are_joined_by_name_and_the_first_seller_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.yaml"
    offers = "[{seller: A, input_usd: 1, output_usd: 2}, {seller: B, input_usd: 0, output_usd: 0}]"
    own.write_text(f"dated: 2026-01-02\nsource: a list\nprices: {{m/one: {offers}}}")
    monkeypatch.setenv("FLYWHEEL_PRICES", str(own))
    priced, bare = load_catalogue(write(tmp_path, NIM % "m/one", NIM % "m/two")).values()
    assert bare.price_per_million_tokens is None
    price = priced.price_per_million_tokens
    assert price is not None
    assert (price.seller, price.input_usd, price.output_usd) == ("A", 1, 2)
    assert (price.dated.isoformat(), price.source) == ("2026-01-02", "a list")


def test_an_entrys_own_price_goes_before_the_table(tmp_path: Path) -> None:
    price = "{input_usd: 9, output_usd: 9, seller: us, dated: 2026-01-02, source: ledger}"
    entry = f"{{name: meta/llama-3.1-8b-instruct, parameters: 1, price_per_million_tokens: {price}}}"
    [nim] = load_catalogue(write(tmp_path, entry)).values()
    assert nim.price_per_million_tokens is not None
    assert nim.price_per_million_tokens.seller == "us"


def test_every_price_of_the_repository_is_of_a_nim_of_the_repository() -> None:
    prices = load_prices(PRICES)
    assert set(prices) <= {nim.name for nim in SHIPPED.nims}
    assert all(offers for offers in prices.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: s\nprices: {}", "prices.yaml: `dated` is missing: add it"),
        (
            "dated: 2026-01-02\nsource: s\nprices: {m: [{seller: A, input_usd: -1, output_usd: 0}]}",
            "`prices.m.0.input_usd` = -1: ",
        ),
        ("dated: soon\nsource: s\nprices: {}", "prices.yaml: `dated` = 'soon': "),
    ],
)
def test_a_bad_price_table_names_file_field_and_value(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_prices(tmp_path / "prices.yaml")


def test_two_nims_with_one_slug_are_refused(tmp_path: Path) -> None:
    for first, second in (("meta/a-b", "meta-a/b"), ("meta/a", "meta/a")):
        with pytest.raises(
            ConfigError, match=f"nims.yaml: `name` = '{second}' and '{first}' are both called"
        ):
            load_catalogue(write(tmp_path, NIM % first, NIM % second))


BAD = [
    (
        "{name: a, parameters: 1, gpus: 1, sources: {gpus: K Q}}",
        "nims.yaml: a: `sources.gpus` = 'Q': no such source; list it under `sources`, which has: K",
    ),
    ("{name: a, parameters: 1, sources: {colour: K}}", "`nims.0.sources.colour"),
    ("{name: a, parameters: 1, image_tag: 1.2}", "`nims.0.image_tag` = 1.2: Input should be a valid string"),
    ("{name: a, parameters: 1, gpus: 0}", "`nims.0.gpus` = 0: "),
    (
        "{name: a, parameters: 1, customization: {target: t, num_gpus: 1, finetuning_type: all_weights}}",
        "an LLM is trained with a LoRA; say lora, or leave `customization` out",
    ),
]


@pytest.mark.parametrize(("entry", "message"), BAD)
def test_a_bad_entry_names_file_field_value_and_remedy(tmp_path: Path, entry: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_catalogue(write(tmp_path, entry, head="sources: {K: a page}"))


def test_the_environment_names_another_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_NIMS", str(write(tmp_path, NIM % "m/own")))
    assert list(load_catalogue()) == ["m/own"]
    monkeypatch.setenv("FLYWHEEL_NIMS", "")
    assert list(load_catalogue()) == [nim.name for nim in SHIPPED.nims]
    monkeypatch.setenv("FLYWHEEL_NIMS", str(tmp_path / "absent.yaml"))
    with pytest.raises(ConfigError, match=r"absent\.yaml cannot be read"):
        load_catalogue()


def test_an_unknown_nim_lists_those_of_the_wanted_type() -> None:
    with pytest.raises(UnknownName) as refused:
        select(load_catalogue(CATALOGUE), ["meta/none"])
    assert "known are: google/gemma" in str(refused.value)
    assert "embed" not in str(refused.value)
    with pytest.raises(UnknownName, match=r"known are: nvidia/llama-3\.2-nv-embedqa"):
        select(load_catalogue(CATALOGUE), ["meta/none"], NimType.EMBEDDING)


def test_a_nim_of_another_type_is_refused() -> None:
    catalogue = load_catalogue(CATALOGUE)
    embedder, llm = "nvidia/nv-embedqa-e5-v5", "meta/llama-3.1-8b-instruct"
    assert [nim.name for nim in select(catalogue, [embedder], NimType.EMBEDDING)] == [embedder]
    for name, wanted in ((embedder, NimType.LLM), (llm, NimType.EMBEDDING)):
        with pytest.raises(ConfigError, match=f"names '{name}': its `type` is .* choose among: "):
            select(catalogue, [llm if wanted is NimType.LLM else embedder, name], wanted)


@pytest.mark.parametrize("field", ["image_name", "image_tag", "gpus"])
def test_a_nim_that_nobody_knows_how_to_deploy_is_refused_by_name_and_field(
    tmp_path: Path, field: str
) -> None:
    known = {"image_name": "i", "image_tag": "'1'", "gpus": 1}
    facts = ", ".join(f"{name}: {value}" for name, value in known.items() if name != field)
    catalogue = load_catalogue(write(tmp_path, f"{{name: m/x, parameters: 1, {facts}}}", BARE % "m/bare"))
    with pytest.raises(ConfigError) as refused:
        select(catalogue, ["m/x"])
    assert "names 'm/x', but the NIM catalogue does not know its" in str(refused.value)
    assert f" its `{field}`, without which it cannot be deployed; complete its entry in" in str(refused.value)
    with pytest.raises(ConfigError, match="its `image_name`, `image_tag`, `gpus`, without"):
        select(catalogue, ["m/bare"])
