import json

import pytest

from include.nemo_local.engine.atoms import harvest, shape_of


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("sara_doe_496", "a_a_0"),
        ("JFK", "X3"),
        ("8JX2WO", "X6"),
        ("2024-05-01", "date"),
        ("2024-05-01T10:00:00", "datetime"),
        ("a.b@example.com", "email"),
        ("SO-22516", "A-0"),
        ("Noah", "N"),
        ("12.5", "num"),
        ("two words", "phrase"),
    ],
)
def test_shapes(value, shape):
    assert shape_of(value) == shape


def _values(text, **options):
    return {atom.value for atoms in harvest(text, **options).by_shape.values() for atom in atoms}


def test_prose_gives_ids_dates_numbers_names_and_addresses():
    found = _values(
        'Mia Li (mia_li_3668, mia@ex.org) pays $1,250.50 for HAT136 on May 20th, "window seat"', year="2031"
    )
    assert {"Mia Li", "mia_li_3668", "mia@ex.org", 1250.5, "HAT136", "2031-05-20", "window seat"} <= found


@pytest.mark.parametrize("text", ["Order SO-12345 please", "My Order SO-12345", "Acme Order No SO-12345."])
def test_an_id_after_a_capitalised_word_is_whole(text):
    assert "SO-12345" in _values(text)
    assert not any(str(value).endswith("SO") for value in _values(text))


def test_json_gives_leaves_with_their_paths():
    found = harvest(
        json.dumps({"user": {"orders": [{"id": "SO-1", "paid": True}, {"id": "SO-2", "sum": 4}]}})
    )
    assert [(a.value, a.path) for a in found.by_key["id"]] == [
        ("SO-1", "user.orders[].id"),
        ("SO-2", "user.orders[].id"),
    ]
    assert found.by_key["id"][0].row != found.by_key["id"][1].row
    assert found.by_key["id"][1].row == found.by_key["sum"][0].row


def test_keys_that_are_data_are_values_too():
    found = harvest(json.dumps({"methods": {"card_77210": {"kind": "visa"}}}))
    assert "card_77210" in {a.value for a in found.by_shape["a_0"]}
    assert found.by_key["kind"][0].path == "methods.*.kind"


def test_text_that_only_looks_like_json_is_prose():
    assert not harvest('{"a": ').is_json
    assert harvest("[" * 5000).by_shape == {}
