import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.nemo_local.engine.production import MODEL_NAME, ProductionAgent
from include.nemo_local.engine.production_matter import Say
from include.nemo_local.engine.production_wording import WORDINGS, wording

AGENT = ProductionAgent()
PARAMETERS = {
    "list_orders": ["email", "limit"],
    "get_order": ["order_id", "view"],
    "track_shipment": ["tracking_number", "carrier"],
    "check_return": ["order_id", "sku", "reason_code"],
    "start_return": ["order_id", "sku", "reason_code", "resolution", "new_size"],
    "refund_order": ["order_id", "amount", "method"],
    "update_address": ["order_id", "address"],
    "apply_coupon": ["order_id", "code"],
    "check_stock": ["sku", "warehouse", "size"],
    "search_products": ["article_type", "category", "max_price", "in_stock_only"],
    "escalate_to_human": ["queue", "priority"],
    "add_note": ["order_id", "topic"],
}
DESK = {
    "lookup_account": ["account_no"],
    "check_stock": ["sku", "warehouse"],
    "get_price": ["sku", "quantity", "tier"],
    "place_order": ["account_no", "lines", "ship_mode"],
    "hand_over": ["team", "hold_code"],
}


def tools(parameters=PARAMETERS):
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "parameters": {
                    "type": "object",
                    "properties": {key: {"type": "string"} for key in keys},
                    "required": keys,
                },
            },
        }
        for name, keys in parameters.items()
    ]


def request(*turns, offered=PARAMETERS, **more):
    """A request whose turns are texts of the user, or (tool, arguments, result) of calls made for them."""
    messages = [{"role": "system", "content": "You are the support agent of a shop."}]
    for number, turn in enumerate(turns):
        if isinstance(turn, str):
            messages.append({"role": "user", "content": turn})
        elif len(turn) == 1:
            messages.append({"role": "assistant", "content": turn[0]})
        else:
            name, arguments, result = turn
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"id": f"c{number}", "type": "function", "function": function}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": json.dumps(result)})
    return {"model": MODEL_NAME, "messages": messages, "tools": tools(offered), "temperature": 0, **more}


def called(body):
    calls = AGENT.answer(body).get("tool_calls", [])
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


PARCEL = "Where is my parcel? The order number is so-48213."
LOOKED_UP = (
    "get_order",
    {"order_id": "SO-48213", "view": "shipment"},
    {
        "order_id": "SO-48213",
        "status": "shipped",
        "shipment": {"carrier": "DHL", "tracking_number": "77"},
        "topic": "N1",
    },
)
TRACKING = {"tracking_number": "77", "carrier": "DHL"}


def test_delivery_is_looked_up_then_tracked_then_noted_then_said():
    steps = [PARCEL]
    assert called(request(*steps)) == [("get_order", {"order_id": "SO-48213", "view": "shipment"})]
    steps.append(LOOKED_UP)
    assert called(request(*steps)) == [("track_shipment", TRACKING)]
    steps.append(("track_shipment", TRACKING, {"state": "in_transit", "topic": "N1"}))
    assert called(request(*steps)) == [("add_note", {"order_id": "SO-48213", "topic": "N1"})]
    steps.append(("add_note", {"order_id": "SO-48213", "topic": "N1"}, {"saved": True}))
    message = AGENT.answer(request(*steps))
    assert "tool_calls" not in message
    assert "SO-48213" in message["content"]
    assert "DHL" in message["content"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("delayed", ("apply_coupon", {"order_id": "SO-48213", "code": "SORRYTEN"})),
        ("lost", ("escalate_to_human", {"queue": "carrier_claims", "priority": "p2"})),
    ],
)
def test_house_rules_follow_the_result(state, expected):
    tracked = ("track_shipment", TRACKING, {"state": state, "topic": "N1"})
    assert called(request(PARCEL, LOOKED_UP, tracked)) == [expected]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("the desk lamp is too small, I want to return it", "R10"),
        ("I changed my mind about the desk lamp", "R20"),
        ("the desk lamp arrived broken", "R30"),
        ("you sent me the wrong item", "R40"),
    ],
)
def test_reason_codes_follow_the_words(words, reason):
    items = [{"sku": "CL-1111", "name": "shirt"}, {"sku": "HO-2222", "name": "desk lamp"}]
    order = {"order_id": "SO-10000", "status": "shipped", "items": items}
    seen = ("get_order", {"order_id": "SO-10000", "view": "items"}, order)
    ((name, arguments),) = called(request(f"{words}, order SO-10000", seen))
    assert (name, arguments["reason_code"]) == ("check_return", reason)
    assert arguments["sku"] == ("HO-2222" if "lamp" in words else "CL-1111")


def test_a_size_is_an_argument_only_where_the_customer_names_one():
    order = {"order_id": "SO-10000", "items": [{"sku": "CL-1111", "name": "shirt"}]}
    seen = ("get_order", {"order_id": "SO-10000", "view": "items"}, order)
    check = {"order_id": "SO-10000", "sku": "CL-1111", "reason_code": "R10"}
    granted = ("check_return", check, {"eligible": True, "resolution": "exchange"})
    ((_, sized),) = called(request("the shirt is too big, SO-10000, size m please", seen, granted))
    ((_, plain),) = called(request("the shirt is too big, SO-10000", seen, granted))
    assert sized == {**plain, "new_size": "M"}
    assert plain["resolution"] == "exchange"


def test_the_agent_asks_for_what_it_lacks_and_goes_on_with_the_answer():
    asked = AGENT.answer(request("My parcel has not arrived"))
    assert "order number" in asked["content"]
    answered = request("My parcel has not arrived", (asked["content"],), "It's SO-48213")
    assert called(answered) == [("get_order", {"order_id": "SO-48213", "view": "shipment"})]
    by_mail = request("My parcel has not arrived", (asked["content"],), "ana@mail.example")
    assert called(by_mail) == [("list_orders", {"email": "ana@mail.example", "limit": 5})]


def test_a_new_request_starts_anew_and_takes_the_order_as_known():
    done = (
        LOOKED_UP,
        ("track_shipment", TRACKING, {"state": "in_transit"}),
        ("It is on its way.",),
    )
    body = request(PARCEL, *done, "Also, I want a refund.")
    assert called(body) == [("get_order", {"order_id": "SO-48213", "view": "payment"})]


def test_two_orders_are_looked_up_side_by_side():
    names = [arguments["order_id"] for _, arguments in called(request("Where are SO-11111 and SO-22222?"))]
    assert names == ["SO-11111", "SO-22222"]


def test_nested_arguments():
    order = {"order_id": "SO-48213", "status": "processing"}
    seen = ("get_order", {"order_id": "SO-48213", "view": "shipment"}, order)
    text = "I have moved, please deliver it to Schönhauser Allee 12, 10115 Berlin. Order SO-48213"
    expected = {"street": "Schönhauser Allee 12", "postal_code": "10115", "city": "Berlin", "country": "DE"}
    assert called(request(text, seen)) == [("update_address", {"order_id": "SO-48213", "address": expected})]


def test_order_desk():
    steps = ["We need 40 units of CL-4821, account AC-2041."]
    account = {"account_no": "AC-2041", "price_tier": "T2", "credit": "clear"}
    ask = {"offered": DESK}
    assert called(request(*steps, **ask)) == [("lookup_account", {"account_no": "AC-2041"})]
    steps.append(("lookup_account", {"account_no": "AC-2041"}, account))
    stock = {"sku": "CL-4821", "warehouse": "EU2"}
    assert called(request(*steps, **ask)) == [("check_stock", stock)]
    steps.append(("check_stock", stock, {"availability": "in_stock"}))
    price = {"sku": "CL-4821", "quantity": 40, "tier": "T2"}
    assert called(request(*steps, **ask)) == [("get_price", price)]
    steps.append(("get_price", price, {"total": 100.0}))
    ((name, arguments),) = called(request(*steps, **ask))
    assert name == "place_order"
    assert arguments["lines"] == [{"sku": "CL-4821", "quantity": 40}]


def test_blocked_credit_is_handed_over():
    account = {"account_no": "AC-2041", "price_tier": "T2", "credit": "blocked"}
    seen = ("lookup_account", {"account_no": "AC-2041"}, account)
    body = request("Please quote 40 units of CL-4821, account AC-2041.", seen, offered=DESK)
    assert called(body) == [("hand_over", {"team": "credit_control", "hold_code": "H7"})]


@pytest.mark.parametrize("text", ["Hi there", "Thanks, that's all!", "What do you think of the weather?"])
def test_small_talk_calls_nothing(text):
    assert called(request(text)) == []


def test_tools_of_another_trade_are_declined_in_words():
    flights = {"book_flight": ["origin", "destination"]}
    message = AGENT.answer(request(PARCEL, offered=flights))
    assert "tool_calls" not in message
    assert message["content"] in WORDINGS["cannot"]


def test_tool_choice_is_obeyed():
    assert called(request(PARCEL, tool_choice="none")) == []
    assert called(request("Hello", tool_choice="required"))
    named = {"type": "function", "function": {"name": "check_stock"}}
    ((name, arguments),) = called(request("Hello, about CL-4821", tool_choice=named))
    assert name == "check_stock"
    assert arguments["sku"] == "CL-4821"


def test_equal_requests_get_equal_answers_and_only_what_matters_matters():
    body = request(PARCEL, temperature=0.9, seed=5)
    first = AGENT.answer(body)
    assert AGENT.answer(json.loads(json.dumps(body))) == first
    assert ProductionAgent().answer({**body, "model": "other", "max_tokens": 9, "user": "x"}) == first


def test_temperature_zero_ignores_the_seed():
    answers = {json.dumps(AGENT.answer(request(PARCEL, seed=seed)), sort_keys=True) for seed in range(50)}
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("temperature", "low", "high"), [(None, 0.03, 0.12), (0.3, 0.005, 0.07), (1.4, 0.08, 0.25)]
)
def test_a_small_share_of_answers_differs_by_seed(temperature, low, high):
    best = called(request(PARCEL))
    answers = [called(request(PARCEL, temperature=temperature, seed=seed)) for seed in range(800)]
    other = [answer for answer in answers if answer != best]
    assert low < len(other) / len(answers) < high
    names = {answer[0][0] if answer else None for answer in other}
    assert names <= {"get_order", None}


def test_words_vary_where_the_step_does_not():
    said = Counter(
        AGENT.answer(request("Hello", temperature=0.7, seed=seed))["content"] for seed in range(60)
    )
    assert set(said) == set(WORDINGS["greeting"])


@pytest.mark.parametrize("topic", sorted(WORDINGS))
def test_every_wording_can_be_filled(topic):
    names = (
        "order_id",
        "carrier",
        "orders",
        "item",
        "amount",
        "code",
        "sku",
        "price",
        "query",
        "total",
        "status",
    )
    for index in range(len(WORDINGS[topic])):
        picked = type("First", (), {"choice": lambda self, found, index=index: found[index]})()
        assert "{" not in wording(Say(topic, dict.fromkeys(names)), picked)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from([PARCEL, "refund SO-48213"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
odd_turns = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | json_values},
    optional={"content": json_values, "tool_calls": json_values, "tool_call_id": json_values},
)


@settings(max_examples=80, deadline=None)
@given(
    messages=st.lists(odd_turns | json_values, max_size=5) | json_values,
    offered=st.just(tools()) | json_values,
    choice=st.sampled_from(["auto", "none", "required", None]) | json_values,
    temperature=st.none() | st.floats(0, 2) | json_values,
)
def test_odd_requests_get_an_answer(messages, offered, choice, temperature):
    body = {"messages": messages, "tools": offered, "tool_choice": choice, "temperature": temperature}
    message = AGENT.answer(body)
    assert message["role"] == "assistant"
    assert isinstance(message["content"], str)
    for call in message.get("tool_calls", []):
        assert isinstance(json.loads(call["function"]["arguments"]), dict)


@settings(max_examples=40, deadline=None)
@given(
    results=st.lists(json_values, min_size=1, max_size=3),
    text=st.sampled_from(
        ["refund", "the lamp is broken", "status", "coupon ABCD10", "cancel", "in stock CL-1234"]
    ),
    steps=st.lists(
        st.sampled_from(["check_return", "track_shipment", "list_orders", "check_stock"]), max_size=3
    ),
)
def test_odd_tool_results_do_not_stop_it(results, text, steps):
    odd = {"order_id": "SO-48213", "items": results, "orders": results, "shipment": results[0]}
    odd |= {"topic": results[0], "state": results[0], "availability": results[0], "resolution": results[0]}
    order = {"order_id": "SO-48213"}
    turns = [(name, {"order_id": result}, result) for name in PARAMETERS for result in results]
    turns += [("get_order", {**order, "view": view}, odd) for view in ("items", "payment", "shipment")]
    turns += [(name, order, {**odd, "eligible": True}) for name in steps]
    message = AGENT.answer(request(f"{text} SO-48213", *turns))
    assert isinstance(message["content"], str)
