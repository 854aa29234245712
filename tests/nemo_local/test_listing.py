"""Lists: paging, filters by nested keys, search, sort."""

import pytest
from starlette.datastructures import QueryParams

from include.nemo_local.errors import Invalid
from include.nemo_local.listing import page_of

BODIES = [
    {
        "name": f"n{number}",
        "namespace": "a" if number < 3 else "b",
        "created_at": f"2026-01-0{number + 1}T00:00:00",
        "custom_fields": {"nim": "1b"} if number % 2 else {},
        "peft": {"finetuning_type": "lora"} if number == 4 else None,
        "enabled": number == 1,
    }
    for number in range(5)
]


def names(query, **kwargs):
    return [body["name"] for body in page_of(BODIES, QueryParams(query), **kwargs)["data"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["n0", "n1", "n2", "n3", "n4"]),
        ("sort=-created_at", ["n4", "n3", "n2", "n1", "n0"]),
        ("page_size=2&page=3", ["n4"]),
        ("page_size=2&page=4", []),
        ("filter%5Bnamespace%5D=b", ["n3", "n4"]),
        ("filter[name]=n1,n4", ["n1", "n4"]),
        ("filter[custom_fields][nim]=1b", ["n1", "n3"]),
        ("filter[namespace]=a&filter[custom_fields][nim]=1b", ["n1"]),
        ("filter[peft]=true", ["n4"]),
        ("filter[peft][finetuning_type]=lora", ["n4"]),
        ("filter[enabled]=true", ["n1"]),
        ("filter[created_at][gte]=2026-01-04", ["n3", "n4"]),
        ("search[name]=2,3", ["n2", "n3"]),
        ("filter[nothing]=x", []),
    ],
)
def test_what_a_query_finds(query, expected):
    assert names(query) == expected


def test_an_alias_filters_by_another_path():
    assert names("filter[nim]=1b", aliases={"nim": "custom_fields.nim"}) == ["n1", "n3"]


def test_the_page_says_how_much_there_is():
    assert page_of(BODIES, QueryParams("page=2&page_size=2"))["pagination"] == {
        "page": 2,
        "page_size": 2,
        "current_page_size": 2,
        "total_pages": 3,
        "total_results": 5,
    }


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page_size=many"])
def test_a_page_that_is_no_number_is_refused(query):
    with pytest.raises(Invalid, match="whole number from 1"):
        names(query)
