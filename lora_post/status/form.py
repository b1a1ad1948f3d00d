"""Answer the page's form for a new device, for `lora-post devices form`.

Another process answers: decoders that are only tried cannot hold up or end the one that takes frames, and the memory
for them is given back.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from lora_post.errors import Problem

MAX_BYTES: Final = 8 << 10
TIMEOUT_S: Final = 60.0


class FormRequest(Struct, frozen=True):
    """A device to be tried, or added. address: as for `lora-post devices add`. fields: keys of [[device]]."""

    address: str
    fields: Mapping[str, str] = {}
    save: bool = False


class Reads(Struct, frozen=True):
    """A decoder that reads what was opened, and the first readings in words."""

    decoder: str
    text: str


class FormAnswer(Struct, frozen=True, omit_defaults=True):
    """What came of it.

    mistakes: in what was filled in; nothing was tried then. opened: a line for each frame that the keys open.
    problem: why they open none. reads: decoders that fit, when none was named. toml: the lines of the configuration.
    written: the file that has them now.
    """

    mistakes: Sequence[Problem] = ()
    opened: Sequence[str] = ()
    problem: Problem | None = None
    reads: Sequence[Reads] = ()
    toml: str = ""
    id: str = ""
    written: str = ""


AnswerForm: TypeAlias = Callable[[bytes], FormAnswer]


def answer_form(config: Path, request: bytes) -> FormAnswer:
    """Return what another process answers to a FormRequest in JSON; never raises."""
    command = [sys.executable, "-P", "-m", "lora_post", "devices", "-c", str(config), "form"]
    try:
        # Its own program; what was filled in goes to stdin.
        done = subprocess.run(command, input=request, capture_output=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
        return msgspec.json.decode(done.stdout, type=FormAnswer)
    except subprocess.TimeoutExpired:
        return FormAnswer((Problem(f"it takes more than {TIMEOUT_S:.0f} s: a decoder hangs", "name another decoder"),))
    except OSError as error:
        return FormAnswer((Problem(f"nothing can be tried: {error.strerror}"),))
    except (msgspec.DecodeError, UnicodeDecodeError):
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return FormAnswer((Problem(last.removeprefix("Error: ") or "it was ended before it had an answer"),))
