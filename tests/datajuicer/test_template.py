"""Templates: the examples of the grammar, the published behaviour, and random ones against a naive
evaluator.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import datajuicer as dj
from datajuicer import Literal, MissingKey, UsageError, format_template, get


def join(*parts):
    return "-".join(map(str, parts))


POINT = {
    "a": 1,
    "b": 2.5,
    "k": "a",
    "topic": "food",
    "fav_food": "cheese",
    "nest": "{a}",
    "join": join,
    "make": lambda n: lambda m: f"{n}/{m}",
    "kind": lambda value: type(value).__name__,
    "braces": lambda: "{a}",
    "opt": {"lr": 0.1, "deep": {"x": "{a}"}},
    7: "seven",
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("", ""),
        ("plain", "plain"),
        (r"no braces \, (here)", r"no braces \, (here)"),
        ("{a}", 1),
        ("{ a }", 1),
        ("{b}", 2.5),
        ("x{a}y", "x1y"),
        ("{a}{b}", "12.5"),
        ("{fav_{topic}}", "cheese"),
        ("{{k}}", 1),
        ("{nest}", 1),
        ("<{nest}>", "<1>"),
        ("{opt.lr}", 0.1),
        ("{opt.deep.x}", 1),
        ("{7}", "seven"),
        ("{join(1,{a})}", "1-1"),
        ("{join()}", ""),
        ("{join(x, y z )}", "x-y z"),
        (r"{join(\ x,y)}", " x-y"),
        ("{join((1,2),3)}", "(1,2)-3"),
        ("{join(a,{join(x,y)})}", "a-x-y"),
        (r"{join(a\,b,c)}", "a,b-c"),
        (r"{join(\),b)}", ")-b"),
        ("{make(1)(2)}", "1/2"),
        ("{kind({a})}", "int"),
        ("{kind( {b} )}", "float"),
        ("{kind(1)}", "str"),
        ("{braces()}", "{a}"),
        ("{!braces()}", "{a}"),
        (r"\{a\}", "{a}"),
        (r"\{{a}\}", "{1}"),
        (r"\\{a}", r"\1"),
        (r"C:\new{a}", r"C:\new1"),
        ("{join({nest},{fav_{topic}})}", "1-cheese"),
    ],
)
def test_examples(template, value):
    result = format_template(POINT, template)
    assert result == value
    assert type(result) is type(value)


def test_star_is_the_whole_point_and_a_copy():
    point = {"a": 1}
    whole = format_template(point, "{*}")
    assert whole == point
    assert whole is not point
    assert format_template(point, "x{*}y") == "x{'a': 1}y"


def test_the_object_itself_is_returned():
    value = object()
    assert format_template({"v": value}, "{v}") is value


@pytest.mark.parametrize(
    "template", ["a}b", "a{b", "{f(1}", "{f(1)x}", "{}", "{ }", "{f(1", "{()}", "{a(1)}"]
)
def test_malformed_templates_are_told(template):
    with pytest.raises(UsageError):
        format_template({"a": 1, "b": 2, "f": str}, template)


def test_a_missing_key_names_the_keys_and_the_nearest():
    with pytest.raises(MissingKey, match=r"'topik'.*did you mean 'topic'"):
        format_template(POINT, "x{topik}")
    with pytest.raises(KeyError):
        format_template(POINT, "{nothing}")


def test_self_reference_is_reported_with_its_circle():
    with pytest.raises(UsageError, match="a → b → a"):
        format_template({"a": "{b}", "b": "x{a}"}, "{a}")
    with pytest.raises(UsageError, match="refers to itself"):
        get({"a": "{{a}}"}, "a")


def test_text_from_a_function_is_data_but_configured_text_is_a_template():
    point = {"f": lambda: "{boom}", "t": "{f()}", "a": 1}
    assert format_template(point, "{t}") == "{boom}"


def test_stored_results_are_data():
    grid = dj.run([{"a": 1}], lambda: '{"json": [1, 2]}', store_key="out")()
    assert grid[0]["out"] == '{"json": [1, 2]}'
    assert dj.run(grid, str)("{out}") == ['{"json": [1, 2]}']
    merged = dj.run(grid, lambda: {"x": "{a}"}, store_key="*")()
    assert format_template(merged[0], "{x}") == "{a}"
    assert format_template({"x": Literal("{a}")}, "<{x}>") == "<{a}>"


def test_get_resolves_key_and_value():
    assert get(POINT, "fav_{topic}") == "cheese"
    assert get(POINT, "nest") == 1
    assert get(POINT, "absent", 5) == 5
    with pytest.raises(MissingKey):
        get(POINT, "absent")


def test_no_attribute_is_reachable():
    with pytest.raises(MissingKey):
        format_template({"a": 1}, "{a.__class__}")


# -- against a naive evaluator: substitute the innermost braces until none is left
# --------------------------------

NAMES = ["a", "b", "ab", "n1"]
INNERMOST = re.compile(r"\{([^{}]*)\}")


def naive(point, text):
    """Innermost first, everything as text; functions are found by their parentheses."""
    while match := INNERMOST.search(text):
        inside = match.group(1)
        name, paren, arguments = inside.partition("(")
        if paren:
            parts = [part.strip() for part in arguments.removesuffix(")").split(",")]
            value = point[name.strip()](*(parts if parts != [""] else []))
        else:
            value = point[inside.strip()]
        text = text[: match.start()] + str(value) + text[match.end() :]
    return text


words = st.text(alphabet="xyz ", max_size=4)
blanks = st.sampled_from(["", " "])
simple = st.builds(
    lambda left, name, right: f"{{{left}{name}{right}}}", blanks, st.sampled_from(NAMES), blanks
)
indirect = st.just("{{which}}") | st.just("{{wh{ich}}}")
call = st.deferred(
    lambda: st.lists(st.one_of(words, simple, indirect, call), max_size=3).map(
        lambda a: f"{{join({','.join(a)})}}"
    )
)
templates = st.lists(st.one_of(words, simple, indirect, call), min_size=1, max_size=5).map("".join)


@given(templates, st.lists(st.integers(0, 99), min_size=4, max_size=4), st.sampled_from(NAMES))
def test_random_templates_agree_with_the_naive_evaluator(template, numbers, which):
    point = dict(zip(NAMES, numbers, strict=True)) | {"which": which, "ich": "ich", "join": join}
    assert str(format_template(point, template)) == naive(point, template)


@given(st.text())
def test_escaped_text_comes_back_as_it_was(text):
    escaped = re.sub(r"([\\{}(),])", r"\\\1", text)
    assert format_template({}, "\\{" + escaped + "\\}") == "{" + text + "}"


@given(st.text(alphabet="ab{}(), \\!*.", max_size=30))
def test_any_text_gives_a_value_or_one_clear_error(text):
    point = {"a": 1, "b": "{a}", "ab": join}
    try:
        format_template(point, text)
    except UsageError as error:
        message = str(error)
    except TypeError:
        message = "an error of the function that was called" if "ab" in text else ""
    else:
        return
    assert len(message) > 20


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(UsageError, match="of type list, not text"):
        format_template({"a": [1]}, "{{a}}")
