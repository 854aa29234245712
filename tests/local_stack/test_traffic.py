import json
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.local_stack.traffic import (
    NO_TOOL,
    NONE,
    ORDER_DESK,
    SUPPORT_AGENT,
    WORKLOADS,
    Blemishes,
    ChatFailed,
    TrafficError,
    TrafficReport,
    UnknownWorkload,
    generate,
    workload_named,
)
from include.nemo_local.engine.production import MODEL_NAME, ProductionAgent
from include.nemo_local.engine.production_wording import WORDINGS

START_MS = 1_760_000_000_000
AGENT = ProductionAgent()
UNUSABLE = (
    "not_json",
    "not_object",
    "torn",
    "no_timestamp",
    "no_client_id",
    "no_response",
    "no_messages",
    "no_choices",
    "error",
    "duplicate_line",
)


def chat(body):
    message = AGENT.answer(body)
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
    }
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": body["model"], "choices": [choice]}


def write(workload=SUPPORT_AGENT, conversations=40, seed=7, blemishes=None, ask=chat, **more):
    report = TrafficReport()
    lines = list(
        generate(
            ask,
            seed=seed,
            start_ms=START_MS,
            workload=workload,
            conversations=conversations,
            blemishes=blemishes,
            report=report,
            **more,
        )
    )
    report.check()
    return lines, report


@pytest.fixture(scope="module")
def full():
    return {name: write(workload, None) for name, workload in WORKLOADS.items()}


@pytest.fixture(scope="module")
def clean():
    lines, report = write(blemishes=NONE, conversations=120)
    return [json.loads(line) for line in lines], report


def message_of(record):
    return record["response"]["choices"][0]["message"]


def calls_of(message):
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or []
    ]


def arguments_fit(schema, value):
    kinds = {
        "string": str,
        "number": int | float,
        "integer": int,
        "boolean": bool,
        "array": list,
        "object": dict,
    }
    assert isinstance(value, kinds[schema["type"]]), (schema, value)
    assert value in schema.get("enum", [value])
    if schema["type"] == "object":
        assert set(schema["required"]) <= set(value) <= set(schema["properties"]), (schema, value)
        for key, inner in value.items():
            arguments_fit(schema["properties"][key], inner)
    if schema["type"] == "array":
        for inner in value:
            arguments_fit(schema["items"], inner)


def test_sizes_and_shares_of_the_samples(full):
    _, support = full["support_agent"]
    _, desk = full["order_desk"]
    assert 2_000 <= support.answers <= 2_600
    assert 200 <= desk.answers <= 320
    assert support.answers / support.conversations < 4.3
    assert 0.68 <= support.call_share <= 0.80
    assert len(support.tools) - 1 >= 12
    assert 0.62 <= desk.call_share <= 0.80
    rare = [count for name, count in support.tools.items() if count <= 3]
    assert len(rare) >= 3


def test_every_blemish_occurs_in_the_large_sample(full):
    _, report = full["support_agent"]
    shares = Blemishes.__dataclass_fields__
    counted = {**report.kinds, **report.traits}
    for name in shares:
        if name != "reasked":
            assert counted.get(name, 0) or name == "not_object", name
    assert report.traits["reasked_same"] > report.traits["reasked_different"] > 0
    assert report.traits["unicode"] > 20


def test_records_have_the_shape_of_the_contract(clean):
    records, report = clean
    assert len(records) == report.lines == report.answers
    for record in records:
        assert (record["client_id"], record["workload_id"]) == ("acme-shop", "support_agent")
        assert START_MS <= record["timestamp"] < START_MS + 15 * 86_400_000
        assert record["request"]["model"] == MODEL_NAME
        assert record["request"]["messages"][0]["role"] == "system"
        assert record["request"]["tools"] == list(SUPPORT_AGENT.tools)
        assert record["latency_ms"] > 0
        assert record["tokens_in"] > record["tokens_out"] > 0
        assert record["cost_usd"] > 0
    assert len({record["trace_id"] for record in records}) == len(records)


def test_every_call_fits_its_schema():
    for workload in WORKLOADS.values():
        lines, _ = write(workload, blemishes=NONE, conversations=80)
        schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in workload.tools}
        for line in lines:
            for name, arguments in calls_of(message_of(json.loads(line))):
                arguments_fit(schemas[name], arguments)


def test_a_conversation_grows_by_its_own_answers(clean):
    by_session = defaultdict(list)
    for record in clean[0]:
        by_session[record["session_id"]].append(record)
    assert len(by_session) == 120
    longest = 0
    for steps in by_session.values():
        for before, after in pairwise(steps):
            old, new = before["request"]["messages"], after["request"]["messages"]
            assert new[: len(old)] == old
            assert calls_of(new[len(old)]) == calls_of(message_of(before))
            assert new[len(old)]["content"] == message_of(before)["content"]
        longest = max(longest, len(steps))
    assert longest >= 7


def test_every_answer_comes_from_chat():
    def parrot(body):
        return {"choices": [{"message": {"role": "assistant", "content": "I am only a parrot."}}]}

    lines, report = write(blemishes=NONE, ask=parrot)
    assert {message_of(json.loads(line))["content"] for line in lines} == {"I am only a parrot."}
    assert report.tools == Counter({NO_TOOL: report.answers})


def test_a_model_that_never_stops_calling_is_left_after_a_bound():
    def stubborn(body):
        call = {"id": "c", "type": "function", "function": {"name": "nonsense", "arguments": "{}"}}
        return {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [call]}}]}

    lines, _ = write(blemishes=NONE, ask=stubborn, conversations=2)
    assert len(lines) == 2 * 24
    assert "no_such_tool" in json.loads(lines[-1])["request"]["messages"][-1]["content"]


def test_lines_come_in_the_order_of_time_and_conversations_interleave():
    lines, _ = write(blemishes=NONE, conversations=60, days=0.1)
    records = [json.loads(line) for line in lines]
    times = [record["timestamp"] for record in records]
    assert times == sorted(times)
    changes = sum(a["session_id"] != b["session_id"] for a, b in pairwise(records))
    assert changes > 60


def test_same_seed_same_bytes_and_another_seed_another_log():
    first, _ = write()
    assert write()[0] == first
    assert write(seed=8)[0] != first


def test_start_moves_nothing_but_time():
    def requests(start_ms):
        lines = generate(chat, seed=3, start_ms=start_ms, conversations=20, blemishes=NONE)
        return [json.loads(line)["request"] for line in lines]

    assert requests(START_MS) == requests(START_MS + 1_234_567)


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(UNUSABLE),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 50),
)
def test_a_share_of_an_unusable_kind_shows_in_lines_and_counts(name, share, seed):
    lines, report = write(conversations=6, seed=seed, blemishes=replace(NONE, **{name: share}))
    found = Counter(kind_of(line) for line in lines)
    if name == "duplicate_line":
        assert report.kinds[name] == len(lines) - len(set(lines))
        found = Counter(kind_of(line) for line in set(lines)) + Counter({name: report.kinds[name]})
    assert found == report.kinds
    if share == 0:
        assert set(report.kinds) == {"answer"}
    if share == 1:
        assert report.kinds[name] > 0
        assert report.answers == (0 if name.startswith(("no_", "torn")) else report.kinds[name])


def kind_of(line):
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    line.decode()
    try:
        record = json.loads(line)
    except ValueError:
        return "torn" if line.startswith(b'{"timestamp"') else "not_json"
    if not isinstance(record, dict):
        return "not_object"
    if record.get("error"):
        return "error"
    for key in ("timestamp", "client_id", "response"):
        if key not in record:
            return f"no_{key}"
    if "messages" not in record["request"]:
        return "no_messages"
    return "answer" if record["response"]["choices"] else "no_choices"


def test_harmless_traits_are_where_the_report_says():
    shares = replace(NONE, seconds=0.5, object_arguments=0.5, unknown_fields=0.5, no_session=0.3)
    lines, report = write(blemishes=shares)
    records = [json.loads(line) for line in lines]
    parsed = 0
    for record in records:
        calls = message_of(record).get("tool_calls") or []
        parsed += any(isinstance(call["function"]["arguments"], dict) for call in calls)
    found = {
        "seconds": sum(record["timestamp"] < 10**11 for record in records),
        "object_arguments": parsed,
        "unknown_fields": sum("contract_version" in record for record in records),
        "no_session": sum("session_id" not in record for record in records),
        "unicode": sum(not line.isascii() for line in lines),
    }
    assert found == {name: count for name, count in report.traits.items() if count}
    assert report.answers == len(records)


def test_reasked_requests_differ_in_the_seed_alone():
    lines, report = write(blemishes=replace(NONE, reasked=1.0))
    pairs = defaultdict(list)
    for line in lines:
        record = json.loads(line)
        pairs[record["trace_id"].removesuffix("-again")].append(record)
    same = different = 0
    for first, again in pairs.values():
        old, new = first["request"], again["request"]
        assert old["seed"] != new["seed"]
        assert {**old, "seed": 0} == {**new, "seed": 0}
        if calls_of(message_of(first)) == calls_of(message_of(again)):
            same += 1
        else:
            different += 1
    assert (same, different) == (report.traits["reasked_same"], report.traits["reasked_different"])
    assert 0.86 <= same / (same + different) <= 0.98


def test_the_production_model_agrees_with_its_logged_answers_nine_times_in_ten(clean):
    records, _ = clean
    agreed = 0
    for record in records:
        body = {key: record["request"][key] for key in ("model", "messages", "tools", "tool_choice")}
        agreed += calls_of(AGENT.answer(body)) == calls_of(message_of(record))
    assert 0.87 <= agreed / len(records) <= 0.97


def test_the_agent_understands_every_request(clean):
    lost = {*WORDINGS["unknown"], *WORDINGS["cannot"]}
    texts = [message_of(record)["content"] for record in clean[0]]
    assert [text for text in texts if text in lost] == []


@pytest.mark.parametrize("arguments", [{"conversations": -1}, {"days": 0}, {"start_ms": -5}])
def test_arguments_out_of_range_are_refused_at_once(arguments):
    with pytest.raises(TrafficError, match="at least 0 conversations"):
        generate(chat, **{"seed": 1, "start_ms": START_MS, **arguments})


def test_shares_out_of_range_are_refused():
    with pytest.raises(TrafficError, match=r"`torn` is 1\.5"):
        Blemishes(torn=1.5)
    with pytest.raises(TrafficError, match=r"add up to 1\.[0-9]+; lower"):
        Blemishes(torn=0.9, error=0.9)


def test_no_conversations_no_lines():
    assert write(conversations=0)[0] == []


def test_unknown_workload_names_the_known():
    assert workload_named("order_desk") is ORDER_DESK
    with pytest.raises(UnknownWorkload, match=r"'nope'.*support_agent, order_desk"):
        workload_named("nope")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": []},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"tool_calls": [{"function": {"name": "x", "arguments": {}}}]}}]},
        {"choices": [{"message": {"tool_calls": [{"function": {"name": "x", "arguments": "[]"}}]}}]},
    ],
)
def test_an_answer_of_another_shape_is_one_clear_error(answer):
    with pytest.raises(ChatFailed, match="no OpenAI chat completion"):
        list(generate(lambda body: answer, seed=1, start_ms=START_MS, conversations=1))
