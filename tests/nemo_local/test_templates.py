"""Templates: values through `tojson`, absent fields, and the sandbox."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.nemo_local.templates import RenderError, render

ITEM = {
    "request": {"messages": [{"role": "user", "content": "a < b & 'c' \u00e9"}], "n": None},
    "label": "42",
}


def over_item(template):
    return render(template, {"item": ITEM, "sample": {}})


def test_one_tojson_expression_becomes_the_value():
    assert over_item({"messages": "{{ item.request.messages | tojson }}", "temperature": 0}) == {
        "messages": ITEM["request"]["messages"],
        "temperature": 0,
    }


def test_an_absent_field_leaves_its_key_out_and_null_stays_null():
    template = {"tools": "{{ item.request.tools | tojson }}", "n": "{{ item.request.n | tojson }}"}
    assert over_item(template) == {"n": None}


def test_other_texts_stay_texts():
    assert over_item("{{ item.label }}") == "42"
    assert over_item([{"content": "Say {{ item.label }}{{ item.nothing }}!"}]) == [{"content": "Say 42!"}]


@pytest.mark.parametrize(
    "template", ["{{ item.", "{{ item.label | nosuch }}", "{{ ''.__class__.__mro__[1] }}"]
)
def test_a_template_that_fails_is_named(template):
    with pytest.raises(RenderError, match="cannot be rendered"):
        over_item(template)


KEYS = st.sampled_from(["a", "b", "items", "keys"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(item=st.dictionaries(KEYS, VALUES), path=st.lists(st.sampled_from("ab"), min_size=1, max_size=3))
def test_a_plain_path_yields_what_jinja_yields(item, path):
    dotted = ".".join(path)

    def rendered(template):
        try:
            return render({"key": template}, {"item": item})
        except RenderError:
            return RenderError

    # Brackets go the way through Jinja and JSON text, dots go straight.
    inside = "item" + "".join(f"['{key}']" for key in path)
    assert rendered(f"{{{{ item.{dotted} | tojson }}}}") == rendered(f"{{{{ {inside} | tojson }}}}")
