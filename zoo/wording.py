"""How numbers, sizes, names and other programs' errors read in a sentence."""

from typing import Any


def mebibytes(count: float) -> str:
    """A number of bytes, for people."""
    return f"{count / 2**20:.3g} MiB" if count < 2**30 else f"{count / 2**30:.3g} GiB"


def first_line(error: Exception) -> str:
    """The first line of an error, without the page that some libraries add."""
    return str(error).strip().split("\n")[0].rstrip(".")[:200] or type(error).__name__


def raised(error: Exception) -> str:
    """The first line of an error, after its kind where it is none that says itself what is wrong."""
    line = first_line(error)
    return line if isinstance(error, ValueError) or line == type(error).__name__ else f"{type(error).__name__}: {line}"


def plain(text: object) -> str:
    """Text without control characters: a name in a file must not steer the terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in str(text))


def counted(number: int, thing: str) -> str:
    """ "1 member", "2 members"."""
    return f"{number} {thing}{'s' * (number != 1)}"


def short(value: Any) -> str:
    """A value as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def clock(seconds: float) -> str:
    """A time, for people: "40 s", "3 min 20 s", "2 h 05 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
