"""Recipes: the grammar's precedence, one spelling per tree, and nothing but the grammar."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvp.atlas.formats.recipe import MOST_CHARACTERS, Apply, Name, Node, Number, Recipe, parse_recipe
from nvp.errors import FieldError

U, V = np.array([3.0, -1.0]), np.array([4.0, 2.0])


def value(text: str) -> np.ndarray:
    return parse_recipe(text)({"u": U, "v": V, "10m wind": U})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5*(u**2+v**2)", 0.5 * (U**2 + V**2)),
        ("u - v - 1", U - V - 1),
        ("u / v / 2", U / V / 2),
        ("u + v*2", U + V * 2),
        ("-u**2", -(U**2)),
        ("(-u)**2", U**2),
        ("v**-1", V**-1.0),
        ("v**2**.5", V ** (2**0.5)),
        ("2*-u", -2 * U),
        ("+u--v", U + V),
        ("sqrt(abs(u)) + exp(log(v))", np.sqrt(abs(U)) + V),
        ("max(u, v, 0) - min(u, 0)", np.maximum(np.maximum(U, V), 0) - np.minimum(U, 0)),
        ("1e-3 * u + .5", 1e-3 * U + 0.5),
        ("`10m wind` * 2", U * 2),
        ("  u\n * v ", U * V),
    ],
)
def test_means_what_it_says(text: str, expected: np.ndarray) -> None:
    np.testing.assert_allclose(value(text), expected, rtol=1e-15)


def test_its_name_and_variables() -> None:
    recipe = parse_recipe("kinetic = 0.5*rho*(u**2 + v**2)")
    assert (recipe.name, recipe.variables) == ("kinetic", ("rho", "u", "v"))
    assert parse_recipe("u + 1", default_name="f").name == "f"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the end"),
        ("u +", "the end"),
        ("u v", "'v' at character 3"),
        ("(u", "'\\)'"),
        ("u)", "at character 2"),
        ("u % v", "'% v' at character 3"),
        ("u; v", "'; v'"),
        ("u = v = w", "'= w'"),
        ("1 = u", "'= u'"),
        ("__import__('os')", "sqrt, abs, exp, log, min, max|a number, a name"),
        ("open(u)", "a function out of sqrt"),
        ("u[0]", r"'\[0\]'"),
        ("u if u else v", "'if u else v'"),
        ("lambda: u", "': u'"),
        ("sqrt(u, v)", "one argument of sqrt in .*, got 2"),
        ("min(u)", "two or more arguments of min in .*, got 1"),
        ("sqrt()", "a number or a name"),
        ("2 + 2", "at least one variable"),
        ("u + 1e999", "float64"),
        ("u + '1'", "''1''|\"'1'\""),
        ("`u", "'`u'"),
        ("u" + "+u" * MOST_CHARACTERS, "at most 500 characters"),
        ("(" * 200 + "u" + ")" * 200, "levels"),
        ("-" * 400 + "u", "levels"),
        ("u" + "**u" * 120, "levels"),
        ("u" + "+u" * 240, "at most 200"),
        ("sqrt(" * 90 + "u" + ")" * 90, "levels|at most"),
    ],
)
def test_what_is_no_recipe(text: str, said: str) -> None:
    with pytest.raises(FieldError, match=said) as caught:
        parse_recipe(text)
    assert caught.value.code == "BAD_RECIPE"
    assert "\n" not in str(caught.value)


def test_towers_of_powers_cost_nothing() -> None:
    assert np.isinf(value("9**9**9**9 + u")).all()
    assert np.isnan(value("log(0*u - 1)")).all()


names = st.text("abc_xyz 019.", min_size=1, max_size=6).filter(lambda name: name.strip() == name)
nodes = st.recursive(
    st.floats(0, 1e6).map(Number) | names.map(Name),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*", "/", "**"]), st.tuples(inner, inner)),
        st.tuples(st.sampled_from(["sqrt", "abs", "exp", "log", "negative"]), st.tuples(inner)),
        st.tuples(st.sampled_from(["min", "max"]), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ).map(lambda parts: Apply(*parts)),
    max_leaves=8,
)


@given(nodes, names)
def test_its_spelling_reads_back(node: Node, name: str) -> None:
    recipe = Recipe(name, node)
    if recipe.variables and len(str(recipe)) <= MOST_CHARACTERS:
        assert parse_recipe(str(recipe)) == recipe
        assert str(parse_recipe(str(recipe))) == str(recipe)


@given(st.text("uv09.+-*/()=, `emaxinsqrt_'[]", max_size=60))
def test_any_text_is_a_recipe_or_an_error_in_one_line(text: str) -> None:
    said = ""
    try:
        recipe = parse_recipe(text)
    except FieldError as error:
        said = str(error)
    else:
        assert recipe(dict.fromkeys(recipe.variables, np.array(math.pi))).dtype == np.float64
    assert "\n" not in said
