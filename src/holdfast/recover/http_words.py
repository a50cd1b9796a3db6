"""Requests that write, as the command-line clients of HTTP are told to make them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.recover.deeds import Deed, head, plain, word_set

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRITING: Final = {"POST", "PUT", "PATCH", "DELETE"}
_VALUED_LETTERS: Final = "AbcCdDeEFhHKmoPQrtTuUwxXyYz"  # curl's short options that take a value
_DATA: Final = {
    "--data": "POST",
    "--data-ascii": "POST",
    "--data-binary": "POST",
    "--data-raw": "POST",
    "--data-urlencode": "POST",
    "--form": "POST",
    "--form-string": "POST",
    "--json": "POST",
    "--upload-file": "PUT",
    "-d": "POST",
    "-F": "POST",
    "-T": "PUT",
}
_LONG_VALUED: Final = word_set(
    "--header --request --url --user --output --cookie --cookie-jar --user-agent --referer --proxy --cacert --cert --key --max-time"
    " --connect-timeout --retry --retry-delay --write-out --config --resolve --interface --range --dump-header --oauth2-bearer"
    " --unix-socket --limit-rate --retry-max-time"
)
_USER = re.compile(r"(://)[^/@\s]*@")


def curl(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    """curl: by its method, else by data that it is given, unless that becomes part of the address."""
    method, implied, place, saved = None, None, None, None
    for name, value in _curl_options(words[1:]):
        if name in {"-X", "--request"}:
            method = value.upper()
        elif name in _DATA:
            implied = _DATA[name]
        elif name in {"-G", "--get", "-I", "--head"}:
            method = method or "GET"
        elif name == "--url" or (not name and place is None):
            place = value
        elif name in {"-o", "--output"}:
            saved = value
    said = method or implied
    if said in _WRITING:
        yield Deed("http", head(f"{said} {_shown(place)}"), whole=False)
    if saved and not saved.startswith(("/dev/", "-")):
        yield Deed("write", head(saved), whole=False)


def _curl_options(words: list[str]) -> Iterator[tuple[str, str]]:
    """(option, value) of each; the name is empty for an address."""
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            takes = name in _DATA or name in _LONG_VALUED
            yield name, value if equals else next(rest, "") if takes else ""
        elif word.startswith("-") and len(word) > 1:
            for at, letter in enumerate(word[1:], 1):
                if letter in _VALUED_LETTERS:
                    yield f"-{letter}", word[at + 1 :] or next(rest, "")
                    break
                yield f"-{letter}", ""
        else:
            yield "", word


def wget(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    """wget: a page is saved, or, with `--post-…`, something is sent."""
    method = None
    for word in words[1:]:
        if word.startswith(("--post-data", "--post-file")):
            method = "POST"
        elif word.startswith("--method="):
            method = word.partition("=")[2].upper()
    given = plain(
        words[1:], frozenset({"-O", "-P", "--post-data", "--post-file", "--header", "-o", "-T", "-t"})
    )
    if method in _WRITING:
        yield Deed("http", head(f"{method} {_shown(given[0] if given else None)}"), whole=False)


def httpie(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    """HTTPie and xh: a method as the first word, else POST where fields are given."""
    if "--offline" in words:
        return
    given = plain(words[1:], frozenset({"-a", "--auth", "-A", "--auth-type", "-o", "--output", "--session"}))
    method = given[0].upper() if given and re.match(r"[A-Za-z]+\Z", given[0]) else None
    named = method in _WRITING | {"GET", "HEAD", "OPTIONS"}
    places = given[1:] if named else given
    if not named and any(re.match(r"[^\s:=@]+(?:=(?!=)|:=|@)", word) for word in places[1:]):
        method, named = "POST", True
    if named and method in _WRITING and places:
        yield Deed("http", head(f"{method} {_shown(places[0])}"), whole=False)


def _shown(place: str | None) -> str:
    """An address without the name and password in it, and without its query."""
    return "(no address)" if place is None else _USER.sub(r"\1", place).partition("?")[0]
