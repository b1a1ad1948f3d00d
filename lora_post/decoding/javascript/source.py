"""The text of a JavaScript codec, made into a function that is called for each frame.

Nothing here runs or parses JavaScript: these are rules of thumb about text, and each errs on the side
where a codec still works, or fails with a message of the engine.
"""

from __future__ import annotations

import re
from typing import Final

from lora_post.errors import DecoderCrash

MAX_FILE: Final = 1 << 20
"""Bytes; the largest published codec has 170 KB."""

# The words can also stand in a comment; then the codec is slower for nothing.
_OPEN_WORDS = re.compile(r"\b(?:async|await|Promise|queueMicrotask|eval)\b|\bFunction\s*[.(]|\bimport\s*\(")
_CHANGES_LANGUAGE = re.compile(
    r"\b(?:Array|String|Number|Object|Date|Math|JSON|Boolean|RegExp|Function|Uint8Array|Map|Set)"
    r"(?:\s*\.\s*prototype)?\s*\.\s*\w+\s*=(?!=)"
)
_IMPORT = re.compile(r"^[ \t]*import\b[^\n;]*?['\"]([^'\"\n]*)['\"][ \t]*;?", re.MULTILINE)
_EXPORT_NAMES = re.compile(r"^[ \t]*export[ \t]*\{([^}]*)\}[ \t]*;?", re.MULTILINE)
_EXPORT = re.compile(r"^[ \t]*export[ \t]+(default[ \t]+)?(?=(\S+))", re.MULTILINE)
_THIS_CALL = re.compile(r"\bthis\s*\.\s*([A-Za-z_$][\w$]*)\s*\(")
_FUNCTION = re.compile(r"^function\s+([A-Za-z_$][\w$]*)", re.MULTILINE)
_DECLARES = ("function", "async", "class", "const", "let", "var")
DECODES = ("decodeUplink", "Decode", "Decoder")
ENCODES = ("encodeDownlink", "Encode", "Encoder")
_ENTRIES = (
    "decodeUplink",
    "normalizeUplink",
    "Decode",
    "Decoder",
    "encodeDownlink",
    "decodeDownlink",
    "Encode",
    "Encoder",
)
_TAIL = {name: f"typeof {name}==='function'?{name}:undefined" for name in _ENTRIES}
_DECODER_OBJECT = re.compile(r"^(?:var|let|const)\s+([A-Za-z_$][\w$]*_decoder)\s*=\s*\{", re.MULTILINE)
_ENTRY = re.compile(rf"\bfunction\s+(?:{'|'.join((*DECODES, *ENCODES))})\s*\(")
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\\0")


def needs_new_world(text: str) -> bool:
    """Tell whether a codec uses what a frozen world lacks, or changes the language when it runs."""
    return bool(_OPEN_WORDS.search(text) or _CHANGES_LANGUAGE.search(text))


def is_codec(text: str) -> bool:
    """Tell whether a text, whatever its file is called, has one of the functions of a codec."""
    return bool(_ENTRY.search(text))


def without_nul(text: str) -> str:
    r"""Return a text with each NUL character written as `\x00`, which is the same inside of a string."""
    return _ESCAPED_NUL.sub(r"\1\0", text).replace("\0", r"\x00") if "\0" in text else text


def is_module(text: str) -> bool:
    """Tell whether a text that is not a plain script may be an ES module."""
    return any(pattern.search(text) for pattern in (_EXPORT, _EXPORT_NAMES, _IMPORT))


def as_function(text: str) -> str:
    """Return a plain script as the body of a function that returns its entry points.

    Lines stay where they were.
    """
    tail = ",".join((_TAIL | _decoder_object(text)).values())
    return f"(function(module,exports,require){{{text}\n;{_shared_functions(text)}return [{tail}];\n}})"


def _decoder_object(text: str) -> dict[str, str]:
    """Return what stands for `Decoder` in a file whose only way in is an object with a function `decode`.

    Source: decentlab/decentlab-decoders, whose files are all like this: `var decentlab_decoder = { … decode: … }`.
    """
    found = _DECODER_OBJECT.search(text)
    if found is None or _ENTRY.search(text):
        return {}
    own = f"function(b){{var r={found[1]}.decode(b);if(r&&r.error)throw Error(r.error);return r;}}"
    return {"Decoder": f"typeof {found[1]}.decode==='function'?{own}:undefined"}


def _shared_functions(text: str) -> str:
    """Return statements that make functions global which a script calls as `this.name()`."""
    names = sorted(set(_THIS_CALL.findall(text)) & set(_FUNCTION.findall(text)))
    return f"if(this){{{''.join(f'this.{name}={name};' for name in names)}}}" if names else ""


def without_module_syntax(text: str) -> str:
    """Return an ES module as a plain script; its lines stay where they are.

    Raises DecoderCrash for imports of other files.
    """

    def keep_import(match: re.Match[str]) -> str:
        if match[1].removeprefix("node:") not in ("buffer", "util"):
            raise DecoderCrash(f"it imports {match[1][:60]!r}", fix="a codec has to be one file")
        return "\n" * match[0].count("\n")

    def keep_names(match: re.Match[str]) -> str:
        pairs = [part.split() for part in match[1].split(",") if part.strip()]
        made = "".join(f"exports.{words[-1]}={words[0]};" for words in pairs if len(words) in (1, 3))
        return made + "\n" * match[0].count("\n")

    def keep_declaration(match: re.Match[str]) -> str:
        declares = match[2].startswith(_DECLARES)
        return "" if declares or not match[1] else "exports.default="

    text = _IMPORT.sub(keep_import, text)
    text = _EXPORT_NAMES.sub(keep_names, text)
    return "'use strict';" + _EXPORT.sub(keep_declaration, text)
