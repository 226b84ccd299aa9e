"""What parts give, traced, beside the forms that their contracts allow, and the one sentence of what has another."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from zoo import lookup
from zoo.spec.contracts import file_of
from zoo.spec.fields import fields_of, replaced


class Form(NamedTuple):
    """What an array may be.

    Attributes:
      dtype: its name, such as "float32".
      shape: of the array.
      axes: what a sentence calls them.
    """

    dtype: str
    shape: tuple[int, ...]
    axes: str = ""

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}" + (f": {self.axes}" if self.axes else "")


SCALAR = Form("float32", ())
IS, GIVES = ("is", "must be"), ("gives", "must give")


@contextmanager
def calling(part: Any, member: str) -> Iterator[None]:
    """What a member raises, as a sentence with its file."""
    try:
        yield
    except Exception as error:  # a plug-in does what it likes
        raise ValueError(f"{file_of(part)}: {member} fails: {lookup.placed(error)}.") from error


def traced_floats(part: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Traced field of a part -> its shape, of those that are not at their off value: a program does not hold these."""
    known = fields_of(type(part)).values()
    traced = [field.name for field in known if field.traced and getattr(part, field.name) != field.off]
    return dict.fromkeys(traced, jax.ShapeDtypeStruct((), "float32"))


def as_called(part: Any, member: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A member as a program calls it, a function of the traced fields and its arguments, and these fields: code that
    branches on one is refused."""
    return lambda floats, *arguments: getattr(replaced(part, floats), member)(*arguments), traced_floats(part)


def asked(part: Any, member: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """The shapes of what a member gives."""
    with calling(part, member):
        return jax.eval_shape(function, *arguments)


def asked_for(
    part: Any, member: str, names: Sequence[str], function: Callable[..., Any], *arguments: Any
) -> tuple[Any, ...]:
    """The shapes of what a member gives, which are as many things as there are names."""
    given = asked(part, member, function, *arguments)
    if not isinstance(given, tuple) or len(given) != len(names):
        raise fault(part, member, kind_of(given), f"({', '.join(names)})", GIVES)
    return given


def check_form(part: Any, member: str, what: str, given: Any, forms: Sequence[Form]) -> None:
    """Refuse an array, traced, that is of none of these forms."""
    if not is_one_of(given, forms):
        raise fault(part, member, f"{what} {kind_of(given)}".strip(), either(forms), GIVES)


def is_one_of(given: Any, forms: Sequence[Form]) -> bool:
    is_array = isinstance(given, jax.ShapeDtypeStruct)
    return is_array and any(given.shape == form.shape and given.dtype == form.dtype for form in forms)


def either(forms: Sequence[Form]) -> str:
    return "; or ".join(map(str, forms))


def check_tree(part: Any, member: str, what: str, given: Any, expected: Any, source: str) -> None:
    """Refuse a tree, traced, that has not the structure, shapes and dtypes of another, which has a name."""
    ours, theirs = leaves(given), leaves(expected)
    for path in (*theirs, *ours):
        if path not in ours or path not in theirs:
            wrong = f"{what} {'without' if path in theirs else 'with'} {path or 'an array'}"
            raise fault(part, member, wrong, f"the structure of {source}", GIVES)
        if (ours[path].shape, ours[path].dtype) != (theirs[path].shape, theirs[path].dtype):
            wrong = f"{what} {path} {kind_of(ours[path])}".replace("  ", " ")
            raise fault(part, member, wrong, f"{kind_of(theirs[path])}, as {source}", GIVES)
    if jax.tree.structure(given) != jax.tree.structure(expected):
        raise fault(part, member, f"{what} as {kind_of(given)}", f"{kind_of(expected)}, as {source}", GIVES)


def leaves(tree: Any) -> dict[str, Any]:
    """Path -> array."""
    pairs = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in pairs}


def fault(part: Any, member: str, given: Any, expected: str, verbs: tuple[str, str] = IS) -> ValueError:
    """The one form of these sentences."""
    return ValueError(f"{file_of(part)}: {member} {verbs[0]} {given}, but {verbs[1]} {expected}.")


def kind_of(given: Any) -> str:
    """What a traced result is, in a sentence: "float32 (8, 3)", "a dict"."""
    if isinstance(given, jax.ShapeDtypeStruct):
        return f"{given.dtype} {given.shape}"
    return "nothing" if given is None else f"a {type(given).__name__}"
