"""Lists: paging, filters by nested keys, search, dates, sort; and what each list offers."""

from datetime import UTC, datetime, timedelta, timezone
from functools import reduce
from typing import get_args, get_type_hints
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nemo_microservices import NeMoMicroservices
from starlette.datastructures import QueryParams

from include.nemo_local.errors import Invalid
from include.nemo_local.listing import ListFields, page_of
from include.nemo_local.services.list_fields import LIST_FIELDS

BODIES = [
    {
        "name": f"n{number}",
        "namespace": "a" if number < 3 else "b",
        "created_at": f"2026-01-0{number + 1}T00:00:00",
        "custom_fields": {"nim": "1b"} if number % 2 else {},
        "peft": {"finetuning_type": "lora"} if number == 4 else None,
        "enabled": number == 1,
        "options": [{"kind": "sft"}, {"kind": "dpo"}] if number == 2 else [],
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
        ("filter[created_at][lt]=2026-01-02T00:00:00.5", ["n0", "n1"]),
        ("filter[created_at][eq]=2026-01-02T01:00:00%2B01:00", ["n1"]),
        (
            "filter[created_at][gte]=2026-01-02&filter[created_at][neq]=2026-01-03T00:00:00Z",
            ["n1", "n3", "n4"],
        ),
        ("filter[options][kind]=dpo", ["n2"]),
        ("search[name]=2,3", ["n2", "n3"]),
        ("search[name]=2&search[name]=3", ["n2", "n3"]),
        ("search[name]=n&search[namespace]=b", ["n3", "n4"]),
        ("search[created_at][start]=2026-01-04", ["n3", "n4"]),
        ("search[created_at][end]=2026-01-02", ["n0", "n1"]),
        ("search[created_at][start]=2026-01-02&search[created_at][end]=2026-01-03T00:00:00", ["n1", "n2"]),
        ("search[updated_at][start]=2026-01-01", []),
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


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("filter[custom_fields][nim]=1b", "has no filter `custom_fields`; it has: created_at, namespace"),
        ("search[name]=n", "has no search `name`; it has: created_at"),
        ("filter[created_at][before]=2026-01-01", "compared by eq, neq, gte, gt, lte, lt, not by 'before'"),
        ("search[created_at][gte]=2026-01-01", "compared by start, end, not by 'gte'"),
        ("search[created_at][start]=yesterday", "'yesterday' is no date"),
    ],
)
def test_what_a_list_does_not_have_is_refused(query, says):
    fields = ListFields(frozenset({"namespace", "created_at"}), frozenset({"created_at"}))
    with pytest.raises(Invalid, match=says):
        names(query, fields=fields)


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@given(MOMENTS, MOMENTS, MOMENTS, st.integers(-12, 12))
def test_a_range_of_dates_holds_both_its_ends_in_any_zone(at, start, end, hours):
    """Times of the wire name no zone, or Z with nanoseconds; those asked for, any."""
    zone = timezone(timedelta(hours=hours))
    query = {"search[created_at][start]": start.astimezone(zone).isoformat(), "search[created_at][end]": end}
    for stamp in (at.replace(tzinfo=None).isoformat(), f"{at:%Y-%m-%dT%H:%M:%S.%f}000Z"):
        found = page_of([{"created_at": stamp}], QueryParams(urlencode(query)))["data"]
        assert bool(found) == (start <= at <= end)


SDK = NeMoMicroservices(base_url="http://nobody.test")


@pytest.mark.parametrize("path", LIST_FIELDS)
def test_a_list_has_the_filters_and_searches_of_the_sdk(path):
    way = path.removeprefix("/v1/").replace("-", "_").split("/")
    hints = get_type_hints(reduce(getattr, way, SDK).list)
    for kind, offered in (("filter", LIST_FIELDS[path].filter), ("search", LIST_FIELDS[path].search)):
        described = {
            name
            for one in get_args(hints.get(kind))
            if one.__name__.endswith("Param")
            for name in get_type_hints(one)
        }
        assert (offered or set()) == described
