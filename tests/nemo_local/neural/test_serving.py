import threading

import order_desk
import pytest
from order_desk import MODEL, TINY

ROW = order_desk.rows(1, seed=8)[0]


def test_a_base_is_made_once_and_found_again(engine, bases_folder):
    request = order_desk.request_of(ROW, max_tokens=8)
    answered = engine.answer(request, MODEL)
    made = {path: path.stat().st_mtime_ns for path in bases_folder.rglob("*")}
    assert type(engine)(bases_folder, lambda model: TINY).answer(request, MODEL) == answered
    assert {path: path.stat().st_mtime_ns for path in bases_folder.rglob("*")} == made


def test_the_same_recipe_makes_the_same_base_anywhere(engine, tmp_path, bases_folder):
    engine.answer(order_desk.request_of(ROW, max_tokens=1), MODEL)
    type(engine)(tmp_path, lambda model: TINY).answer(order_desk.request_of(ROW, max_tokens=1), MODEL)
    made = [next(folder.rglob("model.safetensors")).read_bytes() for folder in (tmp_path, bases_folder)]
    assert made[0] == made[1]


def test_max_tokens_ends_an_answer_and_says_so(customize, engine):
    adapter, _ = customize(order_desk.rows(96, seed=1), epochs=4)
    message = engine.answer(order_desk.request_of(ROW, max_tokens=3), MODEL, adapter)
    assert message["finish_reason"] == "length"
    assert "tool_calls" not in message
    longer = engine.answer(order_desk.request_of(ROW, max_tokens=5), MODEL, adapter)
    assert longer["content"].startswith(message["content"])


def test_answers_in_threads_are_those_in_a_row(customize, engine):
    adapter, _ = customize(order_desk.rows(48, seed=1))
    requests = [order_desk.request_of(row, max_tokens=10) for row in order_desk.rows(6, seed=9)]
    asked = [(request, each) for request in requests for each in (None, adapter)]
    expected = [engine.answer(request, MODEL, each) for request, each in asked]
    given = [None] * len(asked)

    def ask(position):
        request, each = asked[position]
        given[position] = engine.answer(request, MODEL, each)

    threads = [threading.Thread(target=ask, args=(position,)) for position in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert given == expected


def test_more_adapters_than_are_kept_resident_still_answer(customize, engine, monkeypatch):
    monkeypatch.setattr("include.nemo_local.neural.serving._ADAPTERS_RESIDENT", 2)
    request = order_desk.request_of(ROW, max_tokens=10)
    adapters = [customize(order_desk.rows(16, seed=seed), epochs=4)[0] for seed in (1, 2, 3)]
    first = [engine.answer(request, MODEL, adapter) for adapter in adapters]
    assert [engine.answer(request, MODEL, adapter) for adapter in adapters] == first


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"messages": None, "tools": 3},
        {"messages": [{"role": "user", "content": "\ud800" * 20_000}]},
        {"messages": [{"role": "user", "content": "x"}] * 300, "tools": order_desk.TOOLS * 50},
    ],
)
def test_odd_and_long_requests_are_answered(engine, odd):
    assert engine.answer(odd | {"max_tokens": 3}, MODEL)["role"] == "assistant"
