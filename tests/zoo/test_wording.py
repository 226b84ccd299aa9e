"""Numbers, sizes and other programs' words in a sentence."""

from zoo import wording


def test_sizes_are_said_in_three_digits() -> None:
    assert [wording.mebibytes(2**20 * x) for x in (0.5, 12.345, 1023, 2048)] == [
        "0.5 MiB",
        "12.3 MiB",
        "1.02e+03 MiB",
        "2 GiB",
    ]


def test_of_an_error_its_first_line_is_told_or_its_kind() -> None:
    assert wording.first_line(ValueError("  bad thing.\nand a page of help")) == "bad thing"
    assert wording.first_line(KeyError()) == "KeyError"
    assert len(wording.first_line(ValueError("x" * 1000))) == 200


def test_what_would_steer_a_terminal_is_shown_as_its_code() -> None:
    assert wording.plain("a\x1b[31mb\r\tc\n") == "a\\x1b[31mb\\x0d\tc\n"


def test_one_thing_is_not_told_in_the_plural() -> None:
    assert [wording.counted(n, "member") for n in (0, 1, 2)] == ["0 members", "1 member", "2 members"]


def test_a_long_value_is_cut() -> None:
    assert wording.short("abc") == "'abc'"
    assert len(wording.short("a" * 100)) == 60
    assert wording.short("a" * 100).endswith("...")
