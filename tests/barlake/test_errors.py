"""Errors are caught by what the catcher would do, and speak in whole sentences."""

from __future__ import annotations

import pytest

from barlake.errors import BarlakeError, InvalidInputError, LookAheadError, NotFoundError, did_you_mean


@pytest.mark.parametrize(
    ("error", "builtin"), [(InvalidInputError, ValueError), (LookAheadError, ValueError), (NotFoundError, KeyError)]
)
def test_an_error_is_also_the_builtin_that_its_reader_expects(
    error: type[BarlakeError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin, match="why"):
        raise error("why")


def test_what_was_not_found_is_said_without_the_quotes_of_a_key_error() -> None:
    assert str(NotFoundError("symbol 'APPL' has no bars.")) == "symbol 'APPL' has no bars."
    assert str(NotFoundError()) == ""


def test_close_names_are_offered_and_far_ones_are_not() -> None:
    assert did_you_mean("APPL", ["AAPL", "SPY"]) == " Did you mean 'AAPL'?"
    assert did_you_mean("QQ", ["QQQ", "QQQM"]) == " Did you mean 'QQQ' or 'QQQM'?"
    assert did_you_mean("ZZZ", []) == ""
