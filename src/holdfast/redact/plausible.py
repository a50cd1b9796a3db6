"""Whether a value that stands where a secret might is one: no placeholder, no code that names one, no word of prose.

All of it is about one value of bounded length, and costs a few regular expressions without nested repeats.
"""

from __future__ import annotations

import re
from enum import IntEnum


class Place(IntEnum):
    """What surrounds a value, from the weakest to the strongest sign that it is meant literally."""

    CODE = 0  # unquoted, where a program's own names stand too
    QUOTED = 1  # in quotes, or the value of a JSON member
    LINE = 2  # the rest of a line of settings: NAME=value, name: value
    ARGUMENT = 3  # of a command's flag, a header, a URL


LONGEST = 4096
_SHORTEST_STRONG = 5
_SHORTEST_WEAK = 8

# Words that stand in place of a secret. Compared with the value in lower case, separators left out.
_STAND_INS = frozenset(
    """
    password passwd pass pwd passphrase passwort passw secret secrets token tokens apikey key keys credentials credential creds auth bearer basic
    changeme changeit changethis change default none null nil undefined true false yes no on off empty unset missing required optional
    redacted hidden masked removed omitted elided sanitized string str text int integer number bool boolean bytes object any void char varchar
    test testing tests tester dummy fake sample example examples demo placeholder todo fixme tbd foo bar baz foobar qux quux abc xyz
    admin root user username guest postgres mysql redis mongo rabbitmq localhost letmein qwerty welcome hunter2 hunter secretpassword mypassword
    yourpassword yoursecret yourtoken yourapikey yourkey mysecret mytoken mykey mypass testpassword testpass testtoken testsecret testkey
    supersecret topsecret verysecret notasecret notreal insecure invalid valid wrong wrongpassword correct incorrect badpassword badtoken
    password1 password12 password123 password1234 passw0rd p@ssw0rd p4ssw0rd pass123 pass1234 admin123 test123 test1234 secret123 token123 abc123 abc1234 abcd1234
    123456 1234567 12345678 123456789 1234567890 12345 123123 111111 000000 00000000 qwerty123 letmein123 changeme123 user123 root123 mypassword123 demo123
    s3cret s3cr3t s3kr3t sesame opensesame correcthorsebatterystaple cafebabe deadbeef
    env environ environment config settings process stdin prompt input ask keyring keychain vault file external managed inherit auto
    pending expired revoked refresh access session cookie jwt oauth oauth2 saml sso ldap mfa otp totp pin digest negotiate ntlm mutual
    """.split()  # noqa: SIM905 - a list of words reads best as text
)
_NUMBERED = re.compile(rb"(?i)\A(?:key|token|secret|pass|password|session|user|abc|test)[-_]?[0-9]{1,4}\Z")
_BLANKED = re.compile(rb"x{4}|X{4}|[*]{4}|[.]{6}|[#]{6}|_{6}|(?:\xe2\x80\xa2){3}")
_STAND_IN_PARTS = re.compile(
    rb"(?i)example|placeholder|your[-_ ]|[-_ ]your|<[a-z]|change[-_ ]?(?:me|this|it)|replace[-_ ]?(?:me|this|with)|insert[-_ ]|put[-_ ]your|"
    rb"redacted|dummy|fake|sample|not[-_ ]?(?:a[-_ ])?(?:real|secret)|\*\*\*|\.\.\.|\xe2\x80\xa6|goes[-_ ]here|[-_ ]here\Z|lorem|foobar|"
    rb"^(?:my|some|test|the|a|new|old|invalid|valid|bad|good|wrong|bogus|mock|stub|default)[-_ ]|"
    rb"[-_](?:test|tests|mock|stub|local|dev)\Z|abcdefgh|0123456789|123456789|deadbeef|\Atodo\b|\Anot\b|\Ano\b"
)
_REFERENCE = re.compile(
    rb"\A[\"'`]?(?:\$[A-Za-z_{(\[]|\$\{\{|\{\{|\{%|<%|%\(|%[A-Za-z_]+%|%[sdvqr]\b|#\{|@\{|<[A-Za-z/!]|\[REDACTED|\[[A-Za-z]{2,30}[\] ]?\Z|\{[A-Za-z_]{2,40}\}?\Z|op://|vault:|"
    rb"arn:aws:|secretsmanager:|ssm:|file://|env[:.]|ENV\[|!(?:secret|vault|env|Ref|Sub|GetAtt|ImportValue|reference)\b|\\\(|&[A-Za-z_]+(?:[{.(]|\Z))"
)
_TEMPLATE = re.compile(
    rb"\$\{[^}]{0,200}\}|\{\{[^}]{0,200}\}\}|\{[A-Za-z_][\w.\[\]()!:'\"]{0,80}\}|\$\([^)]{0,200}\)|<[A-Za-z_][\w -]{0,60}>"
)
_CHAIN = re.compile(
    rb"\A[A-Za-z_$][\w$]{0,80}(?:(?:\??\.|::|->|\?\.)[A-Za-z_$*][\w$]{0,80}){1,12}[!?)\];,]{0,3}\Z"
)
_CALL = re.compile(rb"\A(?:await |new |&|\*|!)?[A-Za-z_$][\w$.:?!<>-]{0,120}[(\[{]")
_WHOLE_CALL = re.compile(rb"\A(?:await |new )?[A-Za-z_$][\w$.?!]{0,120}\([^\r\n]{0,400}\)")
_IDENTIFIER = re.compile(rb"\A[A-Za-z_$][A-Za-z0-9_$]{0,80}[!?;,)\]]{0,3}\Z")
_KEBAB = re.compile(rb"\A[A-Za-z]{2,24}(?:[-_.:/ ][A-Za-z]{1,24}){0,12}[0-9]{0,2}\Z")
_PATH = re.compile(rb"\A(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?:[\w.@$+-]{1,80}[/\\]){0,30}[\w.@*$+-]{0,80}\Z")
_RELATIVE_PATH = re.compile(rb"\A(?:[A-Za-z_.@-]{1,60}/){1,20}[\w.@*-]{1,80}\.[A-Za-z]{1,6}\Z")
_URL = re.compile(rb"\A[A-Za-z][A-Za-z0-9+.-]{1,20}://")
_EMAIL = re.compile(rb"\A[\w.+-]{1,80}@[\w-]{1,60}(?:\.[\w-]{1,60}){1,5}\Z")
_UUID = re.compile(rb"\A[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_NUMBER = re.compile(rb"\A[-+]?[0-9][0-9_,.]{0,40}(?:[eE][-+]?[0-9]{1,4})?[a-zA-Z%]{0,3}\Z")
_DATE = re.compile(rb"\A[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]{4,16}(?:Z|[+-][0-9:]{2,6})?)?\Z")
_COLOUR = re.compile(rb"\A#[0-9a-fA-F]{3,8};?\Z")
_REGEX = re.compile(
    rb"\[[^\]]{1,60}\][*+?{]|\\[wdsSWDb][*+?{]|\(\?[:=!<iP]|\.\*|\A\^.{0,200}\$\Z|\{[0-9]+,[0-9]*\}"
)
_HASH_OF_PASSWORD = re.compile(rb"\A\$(?:2[abxy]|apr1|[156y]|argon2(?:id|i|d)|pbkdf2[\w-]*)\$")
_NAME_AND_DIGITS = re.compile(
    rb"\A(?!(?i:sha|md|utf|base|rsa|aes|ed|hs|rs|es|argon|latin|iso|cp|int|float|uint|http|x|v|python|py|node|es)[-_]?[0-9]+\Z)[A-Za-z]{4,40}[0-9]{3,12}[!?.#$%*@]?\Z"
)
_SEPARATORS = re.compile(rb"[-_ .:/]")
_RUNS = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^A-Za-z0-9]+")
_VOWELS = frozenset(b"aeiouyAEIOUY")
_WORD_ENDS = b".,;:!?)"


def is_secret(value: bytes, place: Place, *, strong: bool) -> bool:
    """Whether `value` is a secret; `strong`: its name leaves little doubt that one stands there ("password", "api_key")."""
    length = len(value)
    if not (_SHORTEST_STRONG if strong else _SHORTEST_WEAK) <= length <= LONGEST:
        return False
    if is_stand_in(value) or not _is_literal(value, place):
        return False
    if _HASH_OF_PASSWORD.match(value):
        return True
    if place is Place.CODE:
        return _is_random(value, 8 if strong else 12) or (
            strong and _NAME_AND_DIGITS.match(value) is not None
        )
    if b" " in value or b"\t" in value:
        return strong and (not _is_prose(value) or _is_phrase(value))
    if _UUID.match(value):
        return True
    if value.isdigit():
        return strong and length >= 6 and place is not Place.QUOTED
    if _is_letters(value) or (_KEBAB.match(value) and not (strong and value[-2:].isdigit())):
        return _is_jumble(value) or (strong and place is Place.ARGUMENT and length >= 8 and b"-" not in value)
    if not strong:
        return _is_random(value, 10)
    return not _is_wordy(value) or place is Place.ARGUMENT


def is_stand_in(value: bytes) -> bool:
    """Whether a value stands in place of a secret: a placeholder, a reference, a documentation password."""
    if _HASH_OF_PASSWORD.match(value):
        return False
    if len(set(value)) <= 3 or _REFERENCE.match(value) or _BLANKED.search(value) or _NUMBERED.match(value):
        return True
    plain = _SEPARATORS.sub(b"", value).lower()
    if plain.decode("utf-8", "replace") in _STAND_INS:
        return True
    if _STAND_IN_PARTS.search(value[:200]) and not _is_long_random(value):
        return True
    rest = _TEMPLATE.sub(b"", value)
    return len(rest) < len(value) and len(rest) < max(6, len(value) // 3)


def _is_long_random(value: bytes) -> bool:
    """Long enough that a word in it is there by chance."""
    return len(value) >= 32 and _is_random(value, 24) and b" " not in value


def _is_literal(value: bytes, place: Place) -> bool:
    """Whether a value may be meant as it stands: no expression, path, address, date, pattern."""
    if (
        _PATH.match(value)
        or _RELATIVE_PATH.match(value)
        or _URL.match(value)
        or _DATE.match(value)
        or _COLOUR.match(value)
    ):
        return False
    if _REGEX.search(value) and not _is_long_random(value):
        return False
    if _EMAIL.match(value) and place is not Place.ARGUMENT:
        return False
    if _NUMBER.match(value) and not value.isdigit():
        return False
    quoted = place in {Place.QUOTED, Place.LINE} and any(byte in b"0123456789" for byte in value)
    if place is not Place.ARGUMENT and not quoted and _CHAIN.match(value) and not _has_jumbled_part(value):
        return False
    if place is not Place.ARGUMENT and _WHOLE_CALL.fullmatch(value):
        return False
    return not (_CALL.match(value) and place in {Place.CODE, Place.LINE} and _closes(value))


def _is_letters(value: bytes) -> bool:
    """Whether a value is letters of any script, and what joins words."""
    text = value.decode("utf-8", "replace")
    return all(char.isalpha() or char in "-'\u2019._" for char in text)


def _closes(value: bytes) -> bool:
    return (
        _WHOLE_CALL.match(value) is not None
        or (b"(" in value and (value.rstrip(b";,").endswith(b")") or value.endswith(b"(")))
        or bool(re.match(rb"\A[\w$.]{1,80}\[[\w\"'.-]{0,60}\]?", value))
    )


def _has_jumbled_part(value: bytes) -> bool:
    return any(len(part) >= 16 and _is_random(part, 16) for part in re.split(rb"[.:>?-]", value))


def _is_prose(value: bytes) -> bool:
    """Whether a value with white space is made of words."""
    words = [word.strip(_WORD_ENDS) for word in value.split()]
    wordy = sum(1 for word in words if _is_letters(word) or word.isdigit())
    return wordy * 3 >= len(words) * 2


def _is_phrase(value: bytes) -> bool:
    """Whether words are a passphrase: four or more, in lower case, and none that sentences are made with."""
    words = value.split()
    return (
        4 <= len(words) <= 24
        and value.islower()
        and all(word.isalpha() for word in words)
        and not _SENTENCE & set(words)
    )


_SENTENCE = frozenset(
    b"a an the to of in on at is are was be by for from with your you our my me we it its this that these those and or not no if as can must should will "
    b"enter please use used using set new old same has have need needs when then so do does did more least than one all any only".split()
)


def _is_wordy(value: bytes) -> bool:
    """Whether a value is made of words, and of digits only at its end."""
    parts = [part for part in _SEPARATORS.split(value) if part]
    return len(parts) > 1 and all(part.isalpha() and not _is_jumble(part) for part in parts)


def _is_random(value: bytes, least: int) -> bool:
    """Whether a value looks drawn, not named: letters and digits in turn, or no words in its letters."""
    if len(value) < least:
        return False
    runs = _RUNS.findall(value)
    digits = [run for run in runs if run[:1].isdigit()]
    letters = [run for run in runs if run[:1].isalpha()]
    if not digits:
        return _is_jumble(value)
    if len(digits) == 1 and runs[-1] is digits[0] and all(_is_word(run) for run in letters):
        return False  # name1
    if sum(map(len, digits)) >= 8 and not letters:
        return False
    return sum(1 for run in letters if not _is_word(run)) >= 1 or len(digits) >= 3


def _is_word(run: bytes) -> bool:
    """Whether letters could be a word: long enough, and with vowels where they belong."""
    if len(run) < 3:
        return run.lower() in _SHORT_WORDS
    vowels = sum(byte in _VOWELS for byte in run)
    return 5 * vowels >= len(run) and 5 * (len(run) - vowels) >= len(run)


_SHORT_WORDS = frozenset(
    b"a i an at as am be by do db go id if in io ip is it js me my no of ok on or os py so to tv ui up us we ts v".split()
)


def _is_jumble(value: bytes) -> bool:
    """Whether letters are no words: capitals in the middle again and again, or long without a vowel."""
    runs = [run for run in _RUNS.findall(value) if run[:1].isalpha()]
    total = sum(map(len, runs))
    if total < 12:
        return False
    if 10 * len(runs) >= 3 * total:
        return True
    odd = sum(len(run) for run in runs if not _is_word(run))
    return 10 * odd >= 5 * total
