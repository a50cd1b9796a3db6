"""Seeded dice and the small template language in which all texts of the corpus are written.

A template is plain text with marks:

    {{name}}        a secret of the item, else a word of the surroundings (host, user, …)
    {{name|filter}} the same, passed through a filter of FILTERS
    {{#h40}}        40 random characters of the charset "h", drawn for the surroundings, not a secret
    {{#h40:a}}      the same, remembered under the tag "a" within one text
    {[b64]…[/b64]}  a block passed through a filter
    {=text=}        text that must survive redaction

Secrets and surroundings are drawn from two independent generators, so the same surroundings can be built
again around another secret; that is how chance hits between a secret and its surroundings are found.
"""

from __future__ import annotations

import base64
import html
import json
import random
import re
import shlex
import string
import urllib.parse
from dataclasses import dataclass, field

CHARSETS = {
    "A": string.ascii_letters + string.digits,
    "B": string.ascii_letters + string.digits + "-_",
    "b": string.ascii_letters + string.digits + "+/",
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "U": string.ascii_uppercase + string.digits,
    "l": string.ascii_lowercase + string.digits,
    "d": string.digits,
    "L": string.ascii_letters,
    "u": string.ascii_uppercase,
    "w": string.ascii_lowercase,
    "T": string.ascii_uppercase + "234567",
    "t": string.ascii_lowercase + "234567",
    "Z": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "x": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    "O": "0123456789ABCDEFGHJKMNPQRSTVWXYZ",
}

MARK = re.compile(r"\{\{(#?[A-Za-z]\w*(?:-\d+)?)(?::([a-z]))?(?:\|([a-z0-9]+))?\}\}")
KEEP = re.compile(r"\{=(.*?)=\}", re.DOTALL)
BLOCK = re.compile(r"\{\[(\w+)\]((?:(?!\{\[\w+\]).)*?)\[/\1\]\}", re.DOTALL)
SPEC = re.compile(r"([A-Za-z])(\d+)(?:-(\d+))?$")
TOKEN_PART = re.compile(r"\{(!?)([A-Za-z]\d+(?:-\d+)?|uuid)\}")

COLOURS = (
    "\x1b[31m",
    "\x1b[1;32m",
    "\x1b[0m",
    "\x1b[38;5;208m",
    "\x1b[01;31m\x1b[K",
    "\x1b[m\x1b[K",
    "\x1b[7m",
    "\x1b[27m",
)
SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
UNICODE_LETTERS = "äöüßéèñçøåłžščřąęőůñ" + "жщюяфыэ" + "漢字密碼鍵語" + "αβγδλπσω"


@dataclass
class Dice:
    """Two generators: one for the surroundings and one for the secrets."""

    around: random.Random
    secret: random.Random

    @classmethod
    def of(cls, seed: int, name: str, attempt: int = 0) -> Dice:
        """Dice for one item; another attempt draws other secrets within the same surroundings."""
        return cls(random.Random(f"{seed}|around|{name}"), random.Random(f"{seed}|secret|{name}|{attempt}"))


@dataclass
class Filled:
    """A text that was filled, with the secrets it holds and the text that must survive."""

    text: str
    cores: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass
class Token:
    """One secret in its own form: the whole text and its leak-critical parts."""

    text: str
    cores: tuple[str, ...]
    keep: tuple[str, ...] = ()


@dataclass
class Values:
    """The secrets of one text by mark name, drawn when first asked for."""

    dice: Dice
    given: dict[str, Token] = field(default_factory=dict)

    def get(self, name: str) -> Token | None:
        """Return the secret of that name, or None if it is no name of a secret."""
        if name not in self.given:
            base = name.rstrip("0123456789")
            if base not in PASSWORD_KINDS:
                return None
            text = PASSWORD_KINDS[base](self.dice.secret)
            self.given[name] = Token(text, (text,))
        return self.given[name]


def chars(rng: random.Random, spec: str) -> str:
    """Draw random characters for a spec such as h40 or B80-100, or a uuid."""
    if spec == "uuid":
        return uuid(rng)
    kind, low, high = SPEC.match(spec).groups()
    length = rng.randint(int(low), int(high)) if high else int(low)
    return "".join(rng.choice(CHARSETS[kind]) for _ in range(length))


def uuid(rng: random.Random) -> str:
    """Draw a random version 4 UUID."""
    variant = rng.choice("89ab") + chars(rng, "h3")
    return "-".join([chars(rng, "h8"), chars(rng, "h4"), "4" + chars(rng, "h3"), variant, chars(rng, "h12")])


def token(rng: random.Random, template: str) -> Token:
    """Make a token from a template such as ghp_{A36}; parts marked {!…} are no core."""
    cores: list[str] = []

    def part(match: re.Match) -> str:
        value = chars(rng, match.group(2))
        if not match.group(1) and len(value) > 4:
            cores.append(value)
        return value

    text = TOKEN_PART.sub(part, template)
    return Token(text, tuple(cores))


def tame(rng: random.Random) -> str:
    """A password that needs no quoting anywhere."""
    kind = rng.randrange(6)
    if kind == 0:
        return chars(rng, "A12-28")
    if kind == 1:
        return words(rng) + rng.choice("-_.") + words(rng).lower() + chars(rng, "d2-4")
    if kind == 2:
        return chars(rng, "L4") + chars(rng, "d3") + rng.choice("_-.") + chars(rng, "A5-14")
    if kind == 3:
        return chars(rng, "h32")
    if kind == 4:
        return chars(rng, "l16-24")
    return chars(rng, "A6") + "-" + chars(rng, "A6") + "-" + chars(rng, "A6")


def words(rng: random.Random) -> str:
    """A pronounceable made-up word with a capital letter."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(3, 4))).capitalize()


def wild(rng: random.Random) -> str:
    """A password with punctuation, but without quotes, backslashes, dollars or blanks."""
    marks = "!@#%^&*()-_=+[];:,.?/|~"
    length = rng.randint(10, 24)
    text = [rng.choice(CHARSETS["A"] + marks) for _ in range(length)]
    for place in rng.sample(range(1, length), 3):
        text[place] = rng.choice(marks)
    return rng.choice(CHARSETS["L"]) + "".join(text[1:-1]) + rng.choice(CHARSETS["A"])


def quoty(rng: random.Random) -> str:
    """A password with quotes and backslashes too."""
    text = list(wild(rng) + chars(rng, "A4"))
    for mark in rng.sample(["'", '"', "\\", "$", "`"], 2):
        text.insert(rng.randint(2, len(text) - 2), mark)
    return "".join(text)


def unicode_password(rng: random.Random) -> str:
    """A password with letters beyond ASCII."""
    text = [rng.choice(UNICODE_LETTERS + CHARSETS["A"]) for _ in range(rng.randint(10, 18))]
    text[rng.randrange(len(text))] = rng.choice(UNICODE_LETTERS)
    return "".join(text)


def passphrase(rng: random.Random) -> str:
    """Several made-up words with blanks between them."""
    return " ".join(words(rng).lower() for _ in range(rng.randint(4, 5)))


PASSWORD_KINDS = {
    "val": tame,
    "wild": wild,
    "quoty": quoty,
    "uni": unicode_password,
    "phrase": passphrase,
    "hexkey": lambda rng: chars(rng, rng.choice(["h32", "h40", "h64"])),
    "longkey": lambda rng: chars(rng, rng.choice(["A32", "A40", "B43", "A64", "B86"])),
    "bkey": lambda rng: chars(rng, "b43") + "=",
    "railskey": lambda rng: chars(rng, "h128"),
    "djkey": lambda rng: "".join(rng.choice(CHARSETS["l"] + "!@#%^&*(-_=+)") for _ in range(50)),
    "pin": lambda rng: chars(rng, "d10"),
    "sess": lambda rng: chars(rng, rng.choice(["A32", "h64", "B48"])),
    "bcrypt": lambda rng: chars(rng, "A53"),
    "apr": lambda rng: chars(rng, "A22"),
    "sig": lambda rng: chars(rng, "h64"),
    "totp": lambda rng: chars(rng, "T32"),
}

WORDS = {
    "host": [
        "db.internal",
        "api.acme.test",
        "pg-main.prod.lan",
        "10.4.18.22",
        "cache01.eu.example.net",
        "svc.orbit.dev",
        "staging.fjord.io",
        "data.northwind.example",
        "ci.hangar.local",
        "queue.mill.internal",
    ],
    "user": [
        "deploy",
        "app_rw",
        "svc-billing",
        "root",
        "ops",
        "readonly",
        "ci-bot",
        "mara",
        "jenkins",
        "postgres_admin",
    ],
    "db": ["orders", "inventory", "app_production", "metrics", "billing", "users_v2"],
    "app": ["checkout", "ledger", "gateway", "mailer", "importer", "scheduler", "thumbnailer", "crawler"],
    "dir": [
        "/home/dev/shop",
        "/srv/app",
        "/workspace/api",
        "/Users/kim/code/orbit",
        "/opt/ledger",
        "C:/src/mill",
    ],
    "file": [
        "config/settings.py",
        "src/client.ts",
        "deploy/values.yaml",
        "internal/auth/auth.go",
        ".env.local",
        "scripts/release.sh",
        "infra/main.tf",
        "app/config/parameters.yml",
        "docs/setup.md",
    ],
    "region": ["eu-central-1", "us-east-1", "ap-southeast-2", "us-west-2"],
    "branch": ["main", "fix/login", "feat/queue-retry", "release-4.2"],
    "level": ["INFO", "DEBUG", "WARN", "ERROR", "info", "debug"],
    "noun": ["parser", "worker", "cursor", "lexer", "bucket", "ticket", "invoice", "replica"],
    "verb": ["starting", "reloading", "connecting", "retrying", "loading", "flushing"],
    "os": ["linux/amd64", "darwin/arm64", "windows/amd64"],
}


def word(rng: random.Random, name: str) -> str:
    """Draw one word of the surroundings by its mark name."""
    base = name.rstrip("0123456789")
    if base in WORDS:
        return rng.choice(WORDS[base])
    return MADE_WORDS[base](rng)


def timestamp(rng: random.Random) -> str:
    """A time of day in ISO form, of 2025 or 2026."""
    return (
        f"{rng.choice([2025, 2026])}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:"
        f"{rng.randint(0, 59):02}:{rng.randint(0, 59):02}.{rng.randint(0, 999):03}Z"
    )


MADE_WORDS = {
    "ts": timestamp,
    "time": lambda rng: timestamp(rng)[11:19],
    "date": lambda rng: timestamp(rng)[:10],
    "sha": lambda rng: chars(rng, "h40"),
    "short": lambda rng: chars(rng, "h7"),
    "sum": lambda rng: chars(rng, "h64"),
    "guid": uuid,
    "uuid": uuid,
    "num": lambda rng: str(rng.randint(2, 9999)),
    "line": lambda rng: str(rng.randint(2, 480)),
    "port": lambda rng: str(rng.choice([5432, 3306, 6379, 8080, 8443, 5672, 27017, 9200])),
    "ip": lambda rng: ".".join(str(rng.randint(1, 254)) for _ in range(4)),
    "pid": lambda rng: str(rng.randint(200, 65000)),
    "ver": lambda rng: f"{rng.randint(0, 9)}.{rng.randint(0, 40)}.{rng.randint(0, 12)}",
    "email": lambda rng: (
        f"{rng.choice(['kim', 'lee', 'noor', 'ola'])}@{rng.choice(['acme.test', 'example.org'])}"
    ),
    "ulid": lambda rng: "01" + chars(rng, "O24"),
}


def ansi_broken(text: str, rng: random.Random) -> str:
    """Put terminal colour codes into the text, one to three of them."""
    for _ in range(rng.randint(1, 3)):
        place = rng.randint(2, max(3, len(text) - 2))
        if "\x1b" not in text[max(0, place - 12) : place + 12]:
            text = text[:place] + rng.choice(COLOURS) + text[place:]
    return text


def unicode_escaped(text: str, rng: random.Random) -> str:
    """Write some or all characters as backslash-u escapes."""
    share = rng.choice([1.0, 0.5, 0.25])
    return "".join(f"\\u{ord(c):04x}" if rng.random() < share and ord(c) < 65536 else c for c in text)


def percent_encoded(text: str, rng: random.Random) -> str:
    """Percent-encode every third character or so besides those that need it."""
    out = []
    for char in text:
        plain = char.isascii() and char.isalnum() and rng.random() < 0.7
        out.append(char if plain else "".join(f"%{byte:02X}" for byte in char.encode()))
    return "".join(out)


def hard_wrapped(text: str, width: int, glue: str) -> str:
    """Break every line at the width of a terminal."""
    return "\n".join(
        glue.join(line[i : i + width] for i in range(0, max(1, len(line)), width))
        for line in text.split("\n")
    )


def in_middle(text: str, rng: random.Random, glue: str) -> str:
    """Break a text once near its middle."""
    place = rng.randint(max(1, len(text) // 3), max(2, 2 * len(text) // 3))
    return text[:place] + glue + text[place:]


FILTERS = {
    "b64": lambda text, rng: base64.b64encode(text.encode()).decode(),
    "b64url": lambda text, rng: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "b64wrap": lambda text, rng: hard_wrapped(
        base64.b64encode(text.encode()).decode(), rng.choice([64, 76]), "\n"
    ),
    "b64twice": lambda text, rng: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "url": lambda text, rng: urllib.parse.quote(text, safe=""),
    "urlhard": percent_encoded,
    "urltwice": lambda text, rng: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "json": lambda text, rng: json.dumps(text, ensure_ascii=False)[1:-1],
    "jsonascii": lambda text, rng: json.dumps(text)[1:-1],
    "xml": lambda text, rng: html.escape(text),
    "sh": lambda text, rng: shlex.quote(text),
    "dq": lambda text, rng: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"',
    "csv": lambda text, rng: '"' + text.replace('"', '""') + '"',
    "uesc": unicode_escaped,
    "ansi": ansi_broken,
    "wrap76": lambda text, rng: hard_wrapped(text, 76, "\n"),
    "wrap80": lambda text, rng: hard_wrapped(text, 80, "\n"),
    "wrap40": lambda text, rng: hard_wrapped(text, 40, "\n"),
    "cont": lambda text, rng: in_middle(text, rng, "\\\n"),
    "soft": lambda text, rng: in_middle(text, rng, "\n"),
    "pyjoin": lambda text, rng: in_middle(text, rng, '"\n    "'),
    "plusjoin": lambda text, rng: in_middle(text, rng, '" +\n      "'),
    "upper": lambda text, rng: text.upper(),
    "quotedlines": lambda text, rng: "\n".join("> " + line for line in text.split("\n")),
    "diffplus": lambda text, rng: "\n".join("+" + line for line in text.split("\n")),
    "numbered": lambda text, rng: "\n".join(
        f"{i:6}\u2192{line}" for i, line in enumerate(text.split("\n"), 1)
    ),
    "indent": lambda text, rng: "\n".join("    " + line for line in text.split("\n")),
    "escnl": lambda text, rng: text.replace("\n", "\\n"),
    "zerowidth": lambda text, rng: in_middle(text, rng, "\u200b"),
    "concat": lambda text, rng: in_middle(text, rng, "' || '"),
}


def fill(dice: Dice, template: str, given: dict[str, Token | str] | None = None) -> Filled:
    """Fill a template; returns its text, the cores of the secrets used and the text that must survive."""
    plain = {name: value for name, value in (given or {}).items() if isinstance(value, str)}
    values = Values(dice, {name: value for name, value in (given or {}).items() if isinstance(value, Token)})
    memory: dict[str, str] = {}
    cores: list[str] = []
    kept_texts: list[str] = []

    def mark(match: re.Match) -> str:
        name, tag, filter_name = match.groups()
        text = value_of(name, tag)
        return FILTERS[filter_name](text, dice.around) if filter_name else text

    def value_of(name: str, tag: str | None) -> str:
        if name.startswith("#"):
            text = chars(dice.around, name[1:])
            return memory.setdefault(f"{name}:{tag}", text) if tag else text
        if name in plain:
            return plain[name]
        secret = values.get(name)
        if secret is not None:
            cores.extend(secret.cores)
            kept_texts.extend(secret.keep)
            return secret.text
        if name not in memory:
            memory[name] = word(dice.around, name)
        return memory[name]

    def keep(match: re.Match) -> str:
        kept_texts.append(match.group(1))
        return match.group(1)

    text = MARK.sub(mark, template)
    text = KEEP.sub(keep, text)
    while BLOCK.search(text):
        text = BLOCK.sub(lambda match: FILTERS[match.group(1)](match.group(2), dice.around), text)
    return Filled(text, tuple(dict.fromkeys(cores)), tuple(dict.fromkeys(kept_texts)))
