"""What the stored tensors say of a token head."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.encoders.model_folder import DENSE_HEAD, NEAR, TOKEN_HEAD
from retrieval.errors import CheckpointError

SKIP, UP, DOWN = TOKEN_HEAD
HIDDEN = 64


@given(
    st.integers(1, 200),
    st.integers(1, 900),
    st.just((0, 0)) | st.tuples(st.integers(1, 64), st.integers(0, 9)),
)
def test_a_head_is_known_by_its_tensors(dim, inner, beside):
    head = TokenHeadShape(dim, inner, *beside)
    shapes = {DENSE_HEAD: (9, HIDDEN), **head.sizes(HIDDEN)}
    assert TokenHeadShape.of(shapes, HIDDEN) == head


def test_there_may_be_none():
    assert TokenHeadShape.of({DENSE_HEAD: (9, HIDDEN)}, HIDDEN) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({UP: None}, f"{UP} is missing, expected the whole token head or none of it"),
        ({SKIP: (8,)}, rf"{SKIP} is \(8,\), expected a matrix"),
        ({UP: ()}, rf"{UP} is \(\), expected a matrix"),
        ({NEAR: (0, HIDDEN)}, rf"{NEAR} is \(0, 64\), expected a matrix"),
        ({NEAR: (4, 63)}, rf"{NEAR} is \(4, 63\), expected \(4, 64\)"),
        ({NEAR: None}, rf"{SKIP} is \(8, 84\), expected \(8, 64\)"),
        # Of six rows of four numbers none is in the middle.
        ({SKIP: (8, 88), UP: (16, 88)}, rf"{SKIP} is \(8, 88\), expected \(8, 84\)"),
        ({SKIP: (8, 3)}, rf"{SKIP} is \(8, 3\), expected \(8, 68\)"),
        ({DOWN: (8, 15)}, rf"{DOWN} is \(8, 15\), expected \(8, 16\)"),
    ],
)
def test_tensors_that_are_no_head(changes, message):
    shapes = TokenHeadShape(8, 16, near=4, reach=2).sizes(HIDDEN) | changes
    with pytest.raises(CheckpointError, match=message):
        TokenHeadShape.of({k: v for k, v in shapes.items() if v is not None}, HIDDEN)
