from __future__ import annotations

import re
import string
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoset.errors import RecipeError
from emoset.patterns import compile_pattern, example, group_values, named_groups

EMODB = r"wav/(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<label>[WLEAFTN])(?P<take>[a-z])\.wav"
CREMAD = (
    r"AudioWAV/(?P<speaker>10\d\d)_(?P<sentence>IEO|TIE|IOM|IWW|TAI|MTI|IWL|ITH|DFA|ITS|TSI|WSI)"
    r"_(?P<label>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<level>LO|MD|HI|XX)\.wav"
)
DEMOS = (
    r"(?:DEMOS|DEMoS)/(?:(?:(?P<set>NP|PR)_)?(?P<gender>[fm])_(?P<speaker>\d\d)_"
    r"(?P<label>col|dis|gio|pau|rab|sor|tri|neu)(?P<item>\d\d)(?P<take>[abc]))\.wav"
)
ENTERFACE = (
    r"subject (?P<speaker>\d+)/(?P<label>anger|fear)/sentence (?P<sentence>[1-5])/"
    r"s_?\d+_(?P<code>an|fe)_(?P=sentence)\.avi"
)
REAL = (EMODB, CREMAD, DEMOS, ENTERFACE)
OTHERS = (
    r"",
    r"(?i)Actor_\d+/[a-f]+(?-i:X)\.WAV",
    r"(?x) (?P<a> \w+ ) \. wav  # a comment",
    r"(?s:.)+?-[^/]*+/(?>ab|c)?[^\W_]{2,}",
    r"^\bx\b [äöüß]{1,3}[\s_]\S\D\W$",
    r"(?P<a>x|y)(?:(?P<b>\d)|(?P<c>[^a-z])){2,4}(?P=a)\1",
    r"([ab])?z(?:\1)?[\w.]*[\d\-]",
    r"[^a-z0-9]+[^\w]?(?i:[^a-f])",
    r"(?:(?:a|)*|b??)+",
    r"[/\\]x[ -~]{20}[\t\n ]",
)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("regex", REAL + OTHERS)
@given(seed=seeds)
def test_every_string_matches_in_full_and_is_fit_for_a_path(regex: str, seed: int) -> None:
    text = example(regex, {}, np.random.default_rng(seed))
    assert re.fullmatch(regex, text)
    assert "\\" not in text
    assert not any(unicodedata.category(c).startswith("C") for c in text)
    assert "//" not in text


@pytest.mark.parametrize("regex", REAL)
@given(data=st.data(), seed=seeds)
def test_fixed_groups_have_their_text(regex: str, data: st.DataObject, seed: int) -> None:
    names = data.draw(st.sets(st.sampled_from(named_groups(regex))))
    fixed = {name: data.draw(st.sampled_from(group_values(regex, name) or ("1", "07", "43"))) for name in sorted(names)}
    match = re.fullmatch(regex, example(regex, fixed, np.random.default_rng(seed)))
    assert match
    assert {name: match[name] for name in fixed} == fixed


@given(data=st.data(), seed=seeds)
def test_strings_of_any_simple_pattern_match(data: st.DataObject, seed: int) -> None:
    atoms = st.sampled_from(["a", "B", "7", r"\.", "_", ".", r"\d", r"\w", "[a-c]", "[^x/]", "[A-Z_]", " ", "é"])
    regexes = st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.lists(inner, min_size=1, max_size=3).map(lambda options: f"(?:{'|'.join(options)})"),
            st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}?"])).map(
                lambda pair: f"(?:{pair[0]}){pair[1]}"
            ),
            inner.map(lambda body: f"({body})"),
        ),
        max_leaves=8,
    )
    regex = f"(?P<all>{data.draw(regexes)})"
    text = example(regex, {}, np.random.default_rng(seed))
    assert re.fullmatch(regex, text)
    assert example(regex, {"all": text}, np.random.default_rng(seed)) == text
    values = group_values(regex, "all", limit=200)
    if values is not None:
        assert text in values
        assert all(re.fullmatch(regex, value) for value in values)


def test_equal_seeds_give_equal_strings_and_others_differ() -> None:
    texts = [example(DEMOS, {}, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_choices_are_uniform() -> None:
    rng = np.random.default_rng(0)
    drawn = [example("(?:IEO|TIE|[a-d]|x*)", {}, rng) for _ in range(4000)]
    assert abs(drawn.count("IEO") - 1000) < 120
    assert abs(drawn.count("b") - 250) < 60
    assert abs(drawn.count("xxx") - 250) < 60
    assert "xxxx" not in drawn


def test_open_classes_draw_letters_and_digits() -> None:
    rng = np.random.default_rng(0)
    text = "".join(example(r".\w\S[^/]{40}[^_]", {}, rng) for _ in range(100))
    assert set(text) == set(string.ascii_lowercase + string.digits)


def test_a_slash_is_drawn_only_where_nothing_else_is() -> None:
    rng = np.random.default_rng(0)
    assert {example(r"[/\\]", {}, rng) for _ in range(20)} == {"/"}
    assert {example(r"[/_]", {}, rng) for _ in range(20)} == {"_"}


@pytest.mark.parametrize(
    ("regex", "fixed", "text"),
    [
        (r"(?:(?P<set>NP|PR)_)?x", {"set": "NP"}, "NP_x"),
        (r"(?:(?P<a>\d+)|(?P<b>[a-z]+))\.wav", {"b": "anna"}, "anna.wav"),
        (r"(?:y(?:(?P<a>\d+)|z)|x){0,1}", {"a": "12345678"}, "y12345678"),
        (r"(?P<a>x(?P<b>\d))(?P=b)(?P=a)", {"a": "x7"}, "x77x7"),
        (r"(?P<a>x(?P<b>\d))(?P=b)", {"b": "7"}, "x77"),
        (r"(?P<a>.)-(?P<b>(?P=a)y)", {"a": "Q", "b": "Qy"}, "Q-Qy"),
        (r"(?i)(?P<label>ang)(?-i:(?P<take>a))", {"label": "Ang", "take": "a"}, "Anga"),
        (r"(?P<text>.*)", {"text": "Grüße aus Köln"}, "Grüße aus Köln"),
        (r"(?P<text>\w*)!", {"text": ""}, "!"),
    ],
)
def test_fixed_groups_in_every_place(regex: str, fixed: dict[str, str], text: str) -> None:
    for seed in range(10):
        assert example(regex, fixed, np.random.default_rng(seed)) == text


@pytest.mark.parametrize(
    ("regex", "fixed", "words"),
    [
        (EMODB, {"label": "X"}, ["'label'", "'X'", re.escape(repr(EMODB)), "A, E, F, L, N, T, W"]),
        (r"(?i)(?P<a>x)(?-i:(?P<b>y))", {"a": "X", "b": "Y"}, ["'b'", "'Y'"]),
        (r"(?P<a>.)-(?P<b>(?P=a)y)", {"a": "Q", "b": "Ry"}, ["'b'", "'Ry'"]),
        (r"(?P<a>x)", {"speaker": "1"}, ["no group 'speaker'", "one of a"]),
        (r"x", {"speaker": "1"}, ["no group 'speaker'"]),
        (r"(?P<a>x)|(?P<b>y)", {"a": "x", "b": "y"}, ["a='x', b='y'", "found in"]),
        (r"a(?=b)b", {}, [r"look-ahead \(\?="]),
        (r"a(?!b)c", {}, [r"look-ahead \(\?!"]),
        (r"a(?!)", {}, [r"look-ahead \(\?!"]),
        (r"(?<=a)b", {}, [r"look-behind \(\?<="]),
        (r"(?<!a)b", {}, [r"look-behind \(\?<!"]),
        (r"(a)?(?(1)b|c)", {}, ["conditional"]),
        (r"x$y", {}, ["no match"]),
        (r"x[\t\n]", {}, ["no match"]),
        (r"x(", {}, ["position 1"]),
    ],
)
def test_what_cannot_be_written_is_an_error_that_says_why(regex: str, fixed: dict[str, str], words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        example(regex, fixed, np.random.default_rng(0))
    for word in words:
        assert re.search(word, str(caught.value)) or word in str(caught.value)


def test_named_groups_stand_in_order() -> None:
    assert named_groups(DEMOS) == ("set", "gender", "speaker", "label", "item", "take")
    assert named_groups("abc(d)") == ()


@pytest.mark.parametrize(
    ("regex", "values"),
    [
        (r"(?P<g>[WLE])", ("E", "L", "W")),
        (r"(?P<g>10\d)", tuple(f"10{n}" for n in range(10))),
        (r"(?P<g>\d{3})", tuple(f"{n:03}" for n in range(1000))),
        (r"(?P<g>\d{4})", None),
        (r"(?P<g>a?b{1,2})", ("ab", "abb", "b", "bb")),
        (r"(?P<g>\d+)", None),
        (r"(?P<g>\w)", None),
        (r"(?P<g>[^a])", None),
        (r"(?P<g>.)", None),
        (r"(?P<g>(?:)*x)", ("x",)),
        (r"(?P<g>a{900})", ("a" * 900,)),
        (r"(?i)(?P<g>no)", ("NO", "No", "nO", "no")),
        (r"(?P<g>([ab])\2)", ("aa", "bb")),
        (r"(?P<x>[ab])(?P<g>(?P=x)c)", None),
        (r"(?!z)(?P<g>ang|dis)", ("ang", "dis")),
        (r"(?P<g>(?!a)[ab])", None),
        (r"(?P<g>a++a|b)", None),
        (r"(?P<g>(?>a|ab)c|\bd\b)", ("ac", "d")),
        (r"(?P<g>)", ("",)),
    ],
)
def test_group_values(regex: str, values: tuple[str, ...] | None) -> None:
    assert group_values(regex, "g") == values


def test_group_values_has_a_limit_and_needs_the_group() -> None:
    assert group_values(r"(?P<g>[a-e])", "g", limit=5) == tuple("abcde")
    assert group_values(r"(?P<g>[a-e])", "g", limit=4) is None
    assert group_values(r"(?P<g>(?:[a-z]{9}){1000})", "g") is None
    with pytest.raises(RecipeError, match="no group 'h'"):
        group_values(r"(?P<g>x)", "h")


@pytest.mark.parametrize(("regex", "position"), [(r"ab(?P<1>x)", 6), (r"wav/[a-", 4), (r"a**", 2)])
def test_an_invalid_pattern_is_reported_with_place_and_position(regex: str, position: int) -> None:
    with pytest.raises(RecipeError, match=f"recipe emodb: .*at position {position}"):
        compile_pattern(regex, "recipe emodb")
    with pytest.raises(RecipeError, match="invalid"):
        compile_pattern("a{99999999999999999999}")
