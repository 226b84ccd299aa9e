"""What checks annotations while tests run: shapes by jaxtyping, types by beartype; an int may stand for a float."""

from typing import Any, NamedTuple, get_type_hints

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, jaxtyped

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""The checker that `addopts` names for the packages whose annotations are checked."""


def assert_shapes(result: NamedTuple) -> None:
    """Fail where a field of a result is no array of the annotated type and shape; an axis name has one length."""
    hints: dict[str, Any] = get_type_hints(type(result))
    with jaxtyped("context"):
        for name, hint in hints.items():
            if isinstance(hint, type) and issubclass(hint, AbstractArray):
                value = getattr(result, name)
                about = f"{getattr(value, 'dtype', type(value).__name__)} {getattr(value, 'shape', '')}"
                assert isinstance(value, hint), f"{type(result).__name__}.{name} is {about}, and not {hint}"
