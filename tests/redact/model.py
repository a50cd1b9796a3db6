"""The parts everything else is made of: items, secrets, snippets, dice and the template language."""

from __future__ import annotations

import random
import re
import string
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One question of the examination: JSON bodies and what must, or must not, survive in them."""

    name: str
    label: str  # "positive" | "negative"
    tier: str  # "core" | "context" | "hard" | "hard-negative"
    form: str
    carrier: str
    bodies: tuple[bytes, ...]
    cores: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Secret:
    """A secret value, its leak-critical parts, and the variable names people give it."""

    form: str
    text: str
    cores: tuple[str, ...]
    names: tuple[str, ...] = ("API_TOKEN",)
    bare: bool = True  # recognisable without any name beside it
    keep: tuple[str, ...] = ()  # parts of the value itself that are not secret (hosts, users)


@dataclass(frozen=True)
class Snippet:
    """A text with a secret (or a look-alike) in it, before it is put into a record."""

    setting: str
    kind: str  # "prose" | "command" | "output" | "file": decides which carriers fit
    text: str
    keep: tuple[str, ...] = ()
    path: str = "notes.txt"


ALPHABETS = {
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "d": string.digits,
    "a": string.ascii_lowercase + string.digits,
    "A": string.ascii_uppercase + string.digits,
    "l": string.ascii_lowercase,
    "L": string.ascii_uppercase,
    "b": string.ascii_letters + string.digits,
    "u": string.ascii_letters + string.digits + "-_",
    "B": string.ascii_letters + string.digits + "+/",
    "t": string.ascii_uppercase + "234567",
    "z": "qpzry9x8gf2tvdw0s3jn54khce6mua7l",
    "Z": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "x": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
}
EDGE = string.ascii_letters + string.digits

ONSETS = [
    "b",
    "br",
    "c",
    "cl",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "qu",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
]
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "io", "ou"]
CODAS = ["", "", "l", "n", "r", "s", "t", "m", "x", "nd", "rk", "lt"]

WORDS = [
    "orders",
    "billing",
    "invoices",
    "catalog",
    "shipping",
    "harbour",
    "meadow",
    "lantern",
    "compass",
    "ledger",
    "atlas",
    "beacon",
    "cedar",
    "ember",
    "falcon",
    "granite",
    "heron",
    "island",
    "juniper",
    "kestrel",
    "lagoon",
    "maple",
    "nimbus",
    "orchard",
    "pebble",
    "quartz",
    "raven",
    "saffron",
    "tundra",
    "umber",
    "violet",
    "willow",
    "yarrow",
    "zephyr",
    "anchor",
    "birch",
    "cobalt",
    "delta",
    "estuary",
    "fjord",
    "glacier",
    "hazel",
    "indigo",
]
TLDS = ("io", "dev", "net", "org", "cloud", "internal", "local", "com", "app", "co.uk")
REGIONS = ("eu-west-1", "us-east-2", "ap-southeast-1", "eu-central-1", "ca-central-1", "sa-east-1")
PEOPLE = ["mara", "jonas", "priya", "tomas", "ines", "kofi", "yuki", "lena", "omar", "sven", "ruth", "pavel"]


class Dice(random.Random):
    """Repeatable randomness with the vocabulary of this corpus."""

    def pick(self, options):
        return options[self.randrange(len(options))]

    def text(self, alphabet: str, length: int) -> str:
        """Random characters of one alphabet; the ends are letters or digits where the alphabet has them."""
        letters = ALPHABETS[alphabet]
        made = [self.pick(letters) for _ in range(length)]
        edges = [letter for letter in letters if letter in EDGE]
        made[0] = self.pick(edges)
        made[-1] = self.pick(edges)
        return "".join(made)

    def syllables(self, count: int) -> str:
        return "".join(self.pick(ONSETS) + self.pick(VOWELS) + self.pick(CODAS) for _ in range(count))

    def uuid(self) -> str:
        digits = self.text("h", 32)
        return (
            f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{self.pick('89ab')}{digits[17:20]}-{digits[20:]}"
        )

    def host(self) -> str:
        first = self.pick(("db", "api", "cache", "git", "ci", "auth", "mq", "app", "www", "staging", "pg-3"))
        return f"{first}.{self.pick(WORDS)}.{self.pick(TLDS)}"

    def date(self) -> str:
        return f"{self.randint(2023, 2026)}-{self.randint(1, 12):02}-{self.randint(1, 28):02}"

    def clock(self) -> str:
        return f"{self.randrange(24):02}:{self.randrange(60):02}:{self.randrange(60):02}"

    def iso(self) -> str:
        return f"{self.date()}T{self.clock()}.{self.randrange(1000):03}Z"

    def address(self) -> str:
        return f"10.{self.randrange(256)}.{self.randrange(256)}.{self.randrange(1, 255)}"

    def path(self, ending: str) -> str:
        folder = self.pick(("src", "app", "config", "deploy", "scripts", "lib", "infra", "tools"))
        return f"/home/{self.pick(PEOPLE)}/{self.pick(WORDS)}/{folder}/{self.pick(WORDS)}{ending}"


PLACEHOLDER = re.compile("«([A-Za-z0-9_]+)»")
KEEP = re.compile("⟦(.*?)⟧", re.DOTALL)


def camel(name: str) -> str:
    head, *tail = name.lower().split("_")
    return head + "".join(part.capitalize() for part in tail)


def spellings(name: str) -> dict[str, str]:
    """The same variable name in the spellings of different languages."""
    joined = camel(name)
    return {
        "N": name,
        "n": name.lower(),
        "c": joined,
        "P": joined[:1].upper() + joined[1:],
        "k": name.lower().replace("_", "-"),
        "dot": name.lower().replace("_", "."),
        "K": "-".join(part.capitalize() for part in name.split("_")),
        "said": name.lower().replace("_", " "),
    }


def neighbours(look: Dice) -> dict[str, str]:
    """Harmless values that stand around a secret."""
    first, second, third = look.sample(WORDS, 3)
    return {
        "word": first,
        "word2": second,
        "db": third,
        "host": look.host(),
        "host2": look.host(),
        "user": look.pick(PEOPLE),
        "region": look.pick(REGIONS),
        "port": str(look.pick((5432, 3306, 6379, 8080, 8443, 9000, 27017))),
        "num": str(look.randint(2, 99)),
        "date": look.date(),
        "clock": look.clock(),
        "iso": look.iso(),
        "ip": look.address(),
        "uuid": look.uuid(),
        "hex7": look.text("h", 7),
        "hex40": look.text("h", 40),
        "hex64": look.text("h", 64),
        "ms": str(look.randint(3, 900)),
        "pid": str(look.randint(300, 64000)),
    }


def fill(template: str, look: Dice, values: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """The text of a template and the parts marked ⟦…⟧ in it, which have to survive."""
    known = neighbours(look) | values
    text = PLACEHOLDER.sub(lambda found: known[found[1]], template)
    return KEEP.sub(r"\1", text), tuple(KEEP.findall(text))


def secret_values(secret: Secret, look: Dice) -> dict[str, str]:
    return {"V": secret.text, **spellings(look.pick(secret.names))}


def assemble(pattern: str, key: Dice) -> tuple[str, tuple[str, ...]]:
    """The text of a token pattern such as `abc_{b:36}` and its leak-critical parts longer than four characters."""
    parts: list[str] = []
    cores: list[str] = []
    for piece in re.split(r"([{<]\w:\d+[}>])", pattern):
        if re.fullmatch(r"[{<]\w:\d+[}>]", piece):
            made = key.text(piece[1], int(piece[3:-1]))
            parts.append(made)
            if len(made) > 4 and piece[0] == "{":
                cores.append(made)
        else:
            parts.append(piece)
    return "".join(parts), tuple(cores)


PASSWORD_STYLES = ("human", "letters", "long", "hex", "dashed", "marked")


def password(key: Dice, style: str | None = None, look: Dice | None = None) -> str:
    """A password as people and password managers make them; the style is chosen by the layout's dice."""
    chosen = style or (look or key).pick(PASSWORD_STYLES)
    if chosen == "human":
        return key.syllables(3).capitalize() + str(key.randint(100, 9999)) + key.pick("!?*.")
    if chosen == "letters":
        return key.text("b", 16)
    if chosen == "long":
        return key.text("b", 40)
    if chosen == "hex":
        return key.text("h", 32)
    if chosen == "dashed":
        return "-".join(key.text("b", 6) for _ in range(4))
    if chosen == "marked":
        return key.text("b", 5) + key.pick("!*^~.") + key.text("b", 6) + key.pick("!*^~.") + key.text("b", 4)
    if chosen == "plain":
        return key.text("b", 20)
    if chosen == "punctuation":
        return "".join(key.pick("!@#$%^&*()[]{};:,.<>?/|~+=") + key.text("b", 2) for _ in range(6))
    assert chosen == "unicode", chosen
    letters = "äöüßéèñçøåжщюяλπσ密码鍵盤한글🔑🦊"
    return "".join(key.pick(letters) + key.text("b", 2) for _ in range(6))
