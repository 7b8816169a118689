"""Protobuf's text format, in which Caffe's networks are described (`.prototxt`), read without a schema.

Format: https://protobuf.dev/reference/protobuf/textformat-spec
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_TEXT = 16 * 2**20
MAX_DEPTH = 32
_TOKENS = re.compile(
    r"""(?P<space>[\s;,]+|\#[^\n]*)  # separators between fields say nothing
      | (?P<name>[A-Za-z_]\w*)
      | (?P<number>-?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?|inf(?:inity)?\b|nan\b))
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
      | (?P<sign>[{}<>:\[\]])""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ENDS = {"{": "}", "<": ">"}

Message = dict[str, list[Any]]  # name of a field -> its values: str, int, float, bool or Message


class Word(str):
    """A value that is written without quotes, as MAX or TRAIN are."""


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


class TextError(ValueError):
    """Text that is no message in protobuf's text format."""


def parse(text: str) -> Message:
    """The message that a text describes.

    Raises TextError, with the line, for what is no such text, and for messages in more than MAX_DEPTH others.

    >>> parse('name: "net" layer { name: "c" pad: [1, 2] pool: MAX }  # a comment')
    {'name': ['net'], 'layer': [{'name': ['c'], 'pad': [1, 2], 'pool': ['MAX']}]}
    """
    if len(text) > MAX_TEXT:
        raise TextError(f"it has {len(text):,} characters; {MAX_TEXT:,} are allowed.")
    tokens = _Tokens(text)
    return _message(tokens, "", 0)


def one(message: Message, name: str, default: Any = None) -> Any:
    """The value of a field that occurs once, of which the last counts; the default where there is none."""
    values = message.get(name)
    return values[-1] if values else default


def _message(tokens, end, depth) -> Message:
    if depth > MAX_DEPTH:
        raise TextError(f"line {tokens.line}: messages lie within one another more than {MAX_DEPTH} deep.")
    found: Message = {}
    while (token := tokens.next()).text != end:
        if token.kind != "name":
            raise tokens.expected("the name of a field" + (f" or {end!r}" if end else ""), token)
        values = found.setdefault(token.text, [])
        after = tokens.next()
        if after.text == ":":
            after = tokens.next()
        elif after.text not in _ENDS:
            raise tokens.expected("':' or '{'", after)
        values += _list(tokens, depth) if after.text == "[" else [_value(tokens, after, depth)]
    return found


def _list(tokens, depth):
    values = []
    while (token := tokens.next()).text != "]":
        values.append(_value(tokens, token, depth))
    return values


def _value(tokens, token, depth):
    if token.text in _ENDS:
        return _message(tokens, _ENDS[token.text], depth + 1)
    if token.kind == "string":
        parts = [_unquoted(token)]
        while tokens.peek().kind == "string":  # strings in a row are one
            parts.append(_unquoted(tokens.next()))
        return "".join(parts)
    if token.kind == "number":
        return _number(token.text)
    if token.kind == "name":
        return {"true": True, "false": False, "inf": float("inf"), "nan": float("nan")}.get(token.text, Word(token.text))
    raise tokens.expected("a value", token)


def _number(text):
    text = re.sub(r"\s", "", text).lower()
    if "x" in text:
        return int(text, 16)
    if re.fullmatch(r"-?\d{1,20}", text):
        return int(text, 8) if re.fullmatch(r"-?0[0-7]+", text) else int(text)
    return float(text.removesuffix("f") if not text.endswith("inf") else text)


def _unquoted(token):
    def escaped(match):
        if match[1]:
            value = int(match[1], 16)
        elif match[2]:
            value = int(match[2], 8)
        else:
            return _ESCAPES.get(match[3], match[3])
        return chr(value & 0xFF)

    return re.sub(r"\\(?:[xX]([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", escaped, token.text[1:-1])


class _Tokens:
    """The words of a text, one after the other."""

    def __init__(self, text: str):
        self._text, self.line = text, 1
        self._rest = self._tokens()
        self._ahead: _Token | None = None

    def next(self) -> _Token:
        token = self.peek()
        self._ahead = None
        self.line = token.line
        return token

    def peek(self) -> _Token:
        if self._ahead is None:
            self._ahead = next(self._rest)
        return self._ahead

    def expected(self, what: str, token: _Token) -> TextError:
        found = "the end of the text" if token.kind == "end" else repr(token.text[:40])
        return TextError(f"line {token.line}: expected {what}, but found {found}.")

    def _tokens(self) -> Iterator[_Token]:
        at, line = 0, 1
        while at < len(self._text):
            match = _TOKENS.match(self._text, at)
            if match is None:
                raise TextError(
                    f"line {line}: {self._text[at : at + 20].splitlines()[0]!r} is no part of protobuf's text format."
                )
            if match.lastgroup != "space":
                yield _Token(str(match.lastgroup), match[0], line)
            line += match[0].count("\n")
            at = match.end()
        while True:
            yield _Token("end", "", line)
