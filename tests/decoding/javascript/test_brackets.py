"""A bracket that is not closed is found where a person would look for it."""

from __future__ import annotations

import pytest

from lora_post.decoding.javascript.brackets import unclosed

FUNCTION = "function decodeUplink(input) {\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FUNCTION + "  if (a) {\n    return 1;\n}\n", "the { of line 2"),
        (FUNCTION + "\tif (a) {\n\t\tb();\n\t}\n\tfor (;;) {\n\t\tc();\n}\n", "the { of line 5"),
        (FUNCTION + "  return f(1;\n}\n", "the ( of line 2"),
        (FUNCTION + "  return [1, 2;\n}\n", "the [ of line 2"),
        (FUNCTION + "  return 1;\n", "the { of line 1"),
        (FUNCTION + "  // if (\n  var s = '{', t = \"[\", u = `(`; /* { */\n  return 1;\n}\n", ""),
        (FUNCTION + "  return 1; }\n}\n", ""),
        (FUNCTION + "  /* {", "the { of line 1"),
        ("", ""),
    ],
)
def test_bracket_that_is_open_is_named_with_its_line(text: str, found: str) -> None:
    assert unclosed(text) == found


@pytest.mark.parametrize("size", [1 << 17, pytest.param(1 << 20, marks=pytest.mark.long)], ids=["large", "largest"])
def test_a_file_of_the_largest_size_is_looked_through(size: int) -> None:
    """A square of its length would take hours, of the eighth of it minutes."""
    for piece in ("/*", "{}", "'\\", "\n}", "/*{*/", "`", '"{', "({[", "{\n"):
        assert isinstance(unclosed(piece * (size // len(piece))), str)
