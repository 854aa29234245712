from library_desk import request_of, rows, tools, with_examples

from include.nemo_local.engine.conversation import arguments_of, read_request, read_row, text_of


def test_content_may_be_text_parts_or_nothing():
    assert text_of("plain") == "plain"
    assert text_of([{"type": "text", "text": "one"}, {"type": "image_url"}, "two"]) == "one\n\ntwo"
    assert text_of(None) == text_of(7) == ""


def test_arguments_may_be_text_or_object():
    assert arguments_of('{"a": 1}') == arguments_of({"a": 1}) == {"a": 1}
    assert arguments_of("[1]") == arguments_of("not json") == arguments_of(None) == {}


def test_examples_in_the_prompt_are_told_from_the_conversation():
    shown = [row for row in rows(40, seed=5) if row["messages"][-1].get("tool_calls")][:4]
    for row in rows(12, seed=6):
        request = request_of(row)
        plain, carrying = read_request(request), read_request(with_examples(request, shown))
        assert plain.examples == ()
        assert carrying.turns == plain.turns
        assert [e.calls[0].name for e in carrying.examples] == [
            row["messages"][-1]["tool_calls"][0]["function"]["name"] for row in shown
        ]


def test_an_example_answered_in_text_is_known_by_one_with_calls_after_it():
    made = rows(60, seed=7)
    text = next(row for row in made if not row["messages"][-1].get("tool_calls"))
    call = next(row for row in made if row["messages"][-1].get("tool_calls"))
    request = request_of(next(row for row in made if row is not call))
    found = read_request(with_examples(request, [text, call])).examples
    assert [bool(example.calls) for example in found] == [False, True]


def test_a_conversation_that_goes_on_from_a_result_is_no_example():
    call = {"id": "a", "type": "function", "function": {"name": "open_account", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "done"},
        {"role": "assistant", "content": "It is done."},
        {"role": "user", "content": "and now?"},
    ]
    read = read_request({"messages": messages, "tools": tools()})
    assert read.examples == ()
    assert len(read.turns) == 5
    assert read.turns[2].tool == "open_account"


def test_rows_without_an_answer_are_not_read():
    assert read_row({"messages": []}) is None
    assert read_row({"messages": [{"role": "user", "content": "hi"}]}) is None
    assert read_row({"messages": [{"role": "assistant", "content": ""}]}) is None
    assert read_row({}) is None
    assert read_row({"messages": [{"role": "assistant", "content": "hi"}]}) is not None
