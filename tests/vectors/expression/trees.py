"""Expressions of every kind, for tests that draw them."""

from __future__ import annotations

from hypothesis import strategies as st

from vectors.expression import Blocks, Expression, Gate, Term, Tokens
from vectors.expression.tokens import MOST_POSITION
from vectors.expression.words import harm
from vectors.files.bounded import MAX_BLOCKS, MOST_COEFFICIENT

_odd = st.sampled_from(
    ["5", "1.5 a", "-a", "a - b", "a=2", 'say "hi"', '""', '"', " ", "all", "@all", "!a", "sae:7", "1e5", "٣", "漢 字", "é"]
)
_pieces = st.lists(st.sampled_from([*'"=@!-+ 0159.:/_<>aé漢', "when:", "e5", "\u200d"]), min_size=1, max_size=12).map("".join)
names = (st.text(min_size=1, max_size=20) | _pieces | _odd).filter(lambda name: harm(name) is None)
numbers = st.floats(-MOST_COEFFICIENT, MOST_COEFFICIENT) | st.sampled_from([1.0, -1.0, 0.0, -0.0, 1e-07, 0.1, 5e-324, 2.0, 1e9])
_positions = st.integers(0, MOST_POSITION) | st.integers(0, 9)
tokens = st.one_of(
    st.sampled_from(["all", "prompt", "generated"]).map(Tokens),
    st.builds(lambda kind, n: Tokens(kind, (n,)), st.sampled_from(["first", "after", "last"]), st.integers(1, MOST_POSITION)),
    st.builds(lambda at: Tokens("at", tuple(at)), st.lists(_positions, min_size=1, max_size=5)),
)
_range = st.lists(st.integers(0, MAX_BLOCKS - 1), min_size=2, max_size=2).map(
    lambda ends: Blocks("range", min(ends), max(ends))
)
blocks = st.sampled_from([Blocks(), Blocks("all")]) | _range
gates = st.builds(Gate, names, numbers, st.booleans())
operations = st.sampled_from(["add", "keep-norm", "set", "ablate"])
terms = st.builds(Term, names, numbers, operations, tokens, blocks, st.none() | gates)
expressions = st.lists(terms, min_size=1, max_size=4).map(lambda drawn: Expression(tuple(drawn)))
