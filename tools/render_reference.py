#!/usr/bin/env python3
"""Write the generated parts of `docs/reference/` from the declarations in the code.

A generated part stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->`; everything around it is written by
hand and stays as it is.

    python tools/render_reference.py           write what changed, and name it
    python tools/render_reference.py --check   write nothing; exit 1 when a page is out of date
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import click

import holdfast
from holdfast import errors, events, failpoints, settings
from holdfast.cli.app import COMMANDS, INTERRUPT_EXIT, UNEXPECTED_EXIT, cli, find_command

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
_SECTION = re.compile(r"(Args|Attributes|Returns|Raises):")  # of a docstring
_ENTRY = re.compile(r"([\w, ]+?): (.*)")
_PART = re.compile(r"<!-- begin: (?P<name>[^>]+) -->\n.*?<!-- end: (?P=name) -->", re.DOTALL)

# Exit codes that every command can give, and those that each can give beyond. "" is `holdfast` without a command.
EVERY_COMMAND = (0, 1, 2, UNEXPECTED_EXIT, INTERRUPT_EXIT)
_HOME = (10, 11, 12)
_ANSWERS = (*_HOME, 20, 30, 31, 32)
_WRITES_DEFINITIONS = (3, *_ANSWERS, 21, 22, 43, 44, 45)
EXITS = {
    "": (*_ANSWERS, 21),
    "sessions": _ANSWERS,
    "show": (3, *_ANSWERS),
    "tree": (3, *_ANSWERS),
    "timeline": (3, *_ANSWERS),
    "handoff": (3, *_ANSWERS),
    "search": (3, *_ANSWERS),
    "stats": _ANSWERS,
    "cost": (3, *_ANSWERS),
    "recover check": (3, *_ANSWERS),
    "recover list": _ANSWERS,
    "recover show": (3, *_ANSWERS),
    "recover packet": (3, *_ANSWERS),
    "recover resume": (3, 4, *_ANSWERS, 21, 65, 66, 67),
    "recover mark": (3, 4, *_ANSWERS, 21),
    "recover clear": (3, 4, *_ANSWERS, 21),
    "watch": (3, *_ANSWERS),
    "cleanup": (*_ANSWERS, 21, 72),
    "progress": (3, *_HOME, 30),
    "requests list": _HOME,
    "requests process": (*_HOME, 30),
    "up": (*_HOME, 30, 31, 32, 60, 61),
    "status": (62,),
    "down": (*_HOME, 21, 60, 72),
    "run": (3, *_HOME, 21, 72, 73),
    "ps": (*_HOME, 21),
    "logs": (3, *_HOME),
    "attempts": (3, *_HOME, 21),
    "stop": (3, *_HOME, 21, 72, 74),
    "kill": (3, *_HOME, 21, 72, 74),
    "pause": (3, *_HOME, 21, 72, 74),
    "unpause": (3, *_HOME, 21, 72, 74),
    "rm": (3, *_HOME, 21, 72, 73),
    "service install": (60,),
    "service uninstall": (60,),
    "import": (3, *_HOME, 20, 21, 26, 27, 28, 30, 31, 32),
    "record": (*_HOME, 21),
    "doctor": (*_HOME, 30, 40),
    "config": (),
    "rebuild": (*_HOME, 20, 30, 31, 32),
    "journal verify": (*_HOME, 24),
    "journal seal": (*_HOME, 21, 23, 30, 31),
    "journal retire": (*_ANSWERS, 23, 25, 31),
    "forget": (3, *_ANSWERS, 21, 23, 34, 35),
    "redact apply": (10, 12, 21, 23, 30, 31, 32, 34, 35),
    "export": (3, *_ANSWERS, 26, 28),
    "restore session": (3, *_ANSWERS, 26, 28),
    "restore definition": (3, *_ANSWERS, 21, 22, 26, 43),
    "restore checkpoint": (3, *_ANSWERS, 75, 76, 77),
    "checkpoint take": (3, *_ANSWERS, 21, 75, 76, 77),
    "checkpoint list": (3, *_ANSWERS, 76, 77),
    "checkpoint show": (3, *_ANSWERS, 75, 76, 77),
    "checkpoint diff": (3, *_ANSWERS, 75, 76, 77),
    "definitions list": (3,),
    "definitions show": (3,),
    "definitions why": (3,),
    "definitions validate": (3, 42),
    "definitions history": (3, *_ANSWERS, 21),
    "definitions diff": (3, *_ANSWERS, 21, 22),
    "definitions snapshot": (3, *_HOME, 21, 30, 31, 32),
    "definitions snapshots": (3, *_ANSWERS, 21),
    "definitions purge": (*_ANSWERS, 21),
    "definitions outcomes": (3, *_ANSWERS),
    "definitions create": _WRITES_DEFINITIONS,
    "definitions edit": _WRITES_DEFINITIONS,
    "definitions put": _WRITES_DEFINITIONS,
    "definitions delete": _WRITES_DEFINITIONS,
    "definitions migrate": _WRITES_DEFINITIONS,
    "definitions replicate": _WRITES_DEFINITIONS,
    "definitions conflicts": (3, *_ANSWERS, 21, 22, 43),
    "definitions resolve": _WRITES_DEFINITIONS,
    "workspace list": _ANSWERS,
    "workspace move": (3, *_ANSWERS, 21),
    "redact check": (3, 41),
    "redact stats": (10, 12, 20, 30, 31, 32),
    "redact rules": (),
    "redact add": (10, 12),
    "redact allow": (10, 12),
    "redact remove": (3, 10, 12),
    "redact emails": (10, 12),
    "hooks install": (*_HOME, 50),
    "hooks uninstall": (50,),
    "hooks status": (),
    "uninstall": (10, 31, 73, 77),
}
# Codes that stand for no error class of ours, or for more than one.
OTHER_CODES = {
    0: "Done. `holdfast` also ends so when the reader of its output leaves early (`holdfast sessions | head -1`).",
    1: "The operating system refused something that has no code of its own.",
    UNEXPECTED_EXIT: "A bug in Holdfast: an error that nobody foresaw.",
    INTERRUPT_EXIT: "Interrupted with Ctrl-C. Nothing recorded is lost; the same command goes on where this one stopped.",
}


def parts() -> dict[str, str]:
    """Every generated part by its name."""
    out = {"settings": settings_table(), "kinds": kinds(), "codes": code_table(), "errors": error_tree()}
    out["failpoints"] = failpoint_table()
    out["python"] = python_interface()
    out["global options"] = options_table(cli)
    for name in ("", *COMMANDS):
        out[f"command {name}".strip()] = command(name)
    return out


def rendered(text: str) -> str:
    """A page's text with its generated parts made anew."""
    made = parts()

    def part(found: re.Match[str]) -> str:
        name = found["name"]
        return f"<!-- begin: {name} -->\n\n{made[name]}\n\n<!-- end: {name} -->"

    return _PART.sub(part, text)


# ── commands ──


def command(name: str) -> str:
    """Usage, sentence, options and exit codes of one command."""
    codes = ", ".join(str(code) for code in sorted({*EVERY_COMMAND, *EXITS[name]}))
    ends = f"[Exit codes](exit-codes.md): {codes}."
    if not name:
        return f"```sh\nholdfast [--json]\n```\n\n{ends}"
    found = find_command(name)
    arguments = " ".join(_argument(p) for p in found.params if isinstance(p, click.Argument))
    usage = f"holdfast {name} [OPTIONS] {arguments}".strip()
    return f"```sh\n{usage}\n```\n\n{COMMANDS[name][1]}\n\n{options_table(found)}\n\n{ends}"


def options_table(found: click.Command) -> str:
    """Every option, hidden ones too."""
    rows = [
        (f"`{_option(p)}`", p.help or "Show the version and exit.")
        for p in found.params
        if isinstance(p, click.Option)
    ]
    return _table(("option", "what it does"), [*rows, ("`-h`, `--help`", "Show help and exit.")])


def _argument(param: click.Argument) -> str:
    name = param.metavar or (param.name or "").upper()
    if " " in name:  # it says itself what may be left out, and what repeated
        return name
    return f"[{name.removesuffix('S')}...]" if param.nargs == -1 else name


def _option(param: click.Option) -> str:
    if param.is_flag:
        return param.opts[0]
    if isinstance(param.type, click.Choice):
        value = "|".join(map(str, param.type.choices))
    else:
        value = param.metavar or param.type.name.split(" ")[0].upper()
    return f"{param.opts[0]} {value}"


# ── settings ──


def settings_table() -> str:
    """The settings table, a section for each row."""
    return "\n\n".join(_setting(row) for row in settings.SETTINGS)


def _setting(row: settings.Setting) -> str:
    default = (
        "found as the sentence says"
        if row.default is None
        else "not set"
        if row.default == ""
        else f"`{row.default}`"
    )
    variables = ", ".join(f"`{name}`" for name in (row.env, *row.also_env))
    in_file = "cannot be set there" if row.name == "home" else f"`{row.name}`"
    rows = [
        ("unit", row.unit),
        ("default", default),
        ("accepts", row.accepts),
        ("environment", variables),
        ("flag", f"`{row.flag}`"),
        ("in `config.toml`", in_file),
    ]
    return f"### {row.name}\n\n{row.sentence}\n\n{_table(('', ''), rows)}"


def failpoint_table() -> str:
    """Every failpoint and what has just happened when it is passed."""
    return _table(("name", "at that moment"), [(f"`{n}`", what) for n, what in failpoints.NAMES.items()])


# ── event kinds ──


def kinds() -> str:
    """Every kind with its fields."""
    return "\n\n".join(_kind(row) for row in events.reference())


def _kind(row: dict) -> str:
    about = {
        "start": f"starts a span of kind `{row['span_kind'] or 'named by span_kind'}`",
        "end": f"ends a span of kind `{row['span_kind'] or 'named by span_kind'}`",
        "point": f"is about a span of kind `{row['span_kind']}`" if row["span_kind"] else "",
    }[row["phase"]].replace("kind `named by span_kind`", "the kind that `span_kind` names")
    facts = [f"Version {row['version']}", *([about] if about else [])]
    if row["aliases"]:
        facts.append("also read as " + ", ".join(f"`{alias}`" for alias in row["aliases"]))
    fields = [
        (f"`{field['name']}`", field["type"], "yes" if field["required"] else "") for field in row["fields"]
    ]
    pieces = [f"### {row['kind']}", row["sentence"], "; ".join(facts) + ".", row["notes"]]
    pieces.append(_table(("field", "type", "required"), fields) if fields else "It has no fields.")
    return "\n\n".join(piece for piece in pieces if piece)


# ── exit codes ──


def ours() -> list[type[errors.HoldfastError]]:
    """The tree in `holdfast.errors`, parents first."""
    return [cls for cls in errors.tree() if cls.__module__ == errors.__name__]


def code_table() -> str:
    """Each exit code once, with what it means and which commands can give it."""
    means: dict[int, list[str]] = {}
    for cls in ours():
        means.setdefault(cls.exit_code, []).append(_first_line(cls))
    codes = {code: " ".join(lines[:1]) for code, lines in means.items()} | OTHER_CODES
    rows = [(f"**{code}**", codes[code], _given_by(code)) for code in sorted(codes)]
    return _table(("code", "meaning", "given by"), rows)


def _given_by(code: int) -> str:
    if code in EVERY_COMMAND:
        return "every command"
    givers = [_shown(name) for name, codes in EXITS.items() if code in codes]
    others = [_shown(name) for name, codes in EXITS.items() if code not in codes]
    if len(givers) > len(others):
        return f"every command but {', '.join(others)}"
    return (
        ", ".join(givers) or "no command of this version; programs that import `holdfast` may meet the error"
    )


def _shown(name: str) -> str:
    return f"`holdfast {name}`" if name else "`holdfast`"


def error_tree() -> str:
    """The error classes, each with its code and sentence."""
    rows = []
    for cls in ours():
        depth = len([base for base in cls.__mro__ if issubclass(base, errors.HoldfastError)]) - 1
        rows.append((f"{'&nbsp;&nbsp;' * depth}`{cls.__name__}`", str(cls.exit_code), _first_line(cls)))
    return _table(("error", "exit code", "meaning"), rows)


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().split("\n")[0]


# ── the Python interface ──


def python_interface() -> str:
    """Every public name: functions first, then classes with methods, then what these give."""
    names = [name for name in holdfast.__all__ if not name.startswith("__")]
    found = {name: getattr(holdfast, name) for name in names}
    functions = [name for name in names if not inspect.isclass(found[name])]
    acting = [name for name in names if inspect.isclass(found[name]) and _methods(found[name])]
    others = [name for name in names if name not in functions and name not in acting]
    return "\n\n".join(
        [
            *(_function(f"holdfast.{name}", found[name]) for name in sorted(functions)),
            *(_class(name, found[name]) for name in acting),
            *(_value(name, found[name]) for name in others),
        ]
    )


def _methods(cls: type) -> dict[str, object]:
    return {
        name: member
        for part in cls.__mro__
        for name, member in vars(part).items()
        if not name.startswith("_") and inspect.isfunction(member)
    }


def _function(name: str, function: object, level: str = "###") -> str:
    pieces = [f"{level} {name}", f"```python\n{_signature(name, function)}\n```"]
    return "\n\n".join([*pieces, *_told(function, "argument")])


def _class(name: str, cls: type) -> str:
    head = [f"### holdfast.{name}", f"```python\n{_signature(f'holdfast.{name}', cls.__init__)}\n```"]
    methods = [_function(f"{name}.{one}", member, "####") for one, member in _methods(cls).items()]
    return "\n\n".join([*head, *_told(cls, "argument"), *methods])


def _value(name: str, cls: type) -> str:
    fields = ", ".join(f"`{field}`" for field in cls.__struct_fields__)
    return "\n\n".join([f"### holdfast.{name}", *_told(cls, "field"), f"Fields: {fields}."])


def _signature(name: str, function: object) -> str:
    """As it is called: one argument a line where they are many."""
    found = inspect.signature(function)
    out, names_only = [], False
    for param in found.parameters.values():
        if param.name == "self":
            continue
        if param.kind is param.KEYWORD_ONLY and not names_only:
            out.append("*")
            names_only = True
        out.append(_parameter(param))
        if param.kind is param.POSITIONAL_ONLY:
            out.append("/")
    gives = "" if found.return_annotation in (found.empty, "None", None) else f" -> {found.return_annotation}"
    line = f"{name.rpartition('.')[2] if name[0].isupper() else name}({', '.join(out)}){gives}"
    if len(line) <= 100:
        return line
    inner = "".join(f"    {one},\n" for one in out)
    return line[: line.index("(")] + f"(\n{inner}){gives}"


def _parameter(param: inspect.Parameter) -> str:
    stars = {param.VAR_POSITIONAL: "*", param.VAR_KEYWORD: "**"}.get(param.kind, "")
    default = ""
    if param.default is not param.empty:
        default = (
            " = {}" if not isinstance(param.default, str) and param.default == {} else f" = {param.default!r}"
        )
    return f"{stars}{param.name}: {param.annotation}{default}"


def _told(thing: object, what: str) -> list[str]:
    """The docstring: its text, and tables of what it lists."""
    parts: dict[str, list[str]] = {"": []}
    at = ""
    for line in inspect.cleandoc(thing.__doc__ or "").split("\n"):
        if found := _SECTION.fullmatch(line):
            at = found[1]
            parts[at] = []
        else:
            parts[at].append(line.removeprefix("    ") if at else line)
    out = ["\n".join(parts.pop("")).strip()]
    heads = {"Args": what, "Attributes": "field", "Raises": "raises"}
    for name, lines in parts.items():
        if name == "Returns":
            out.append("Returns: " + " ".join(line.strip() for line in lines).strip())
        else:
            out.append(_listed(heads[name], lines))
    return out


def _listed(head: str, lines: list[str]) -> str:
    rows: list[list[str]] = []
    for line in lines:
        found = None if line.startswith(" ") else _ENTRY.fullmatch(line)
        if found:
            rows.append([found[1], found[2]])
        elif line.strip():
            rows[-1][1] += " " + line.strip()
    return _table(
        (head, ""),
        [(", ".join(f"`{one.strip()}`" for one in names.split(",")), text) for names, text in rows],
    )


# ── Markdown ──


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |"
        for line in lines
    )


def main() -> int:
    stale = []
    for page in sorted(REFERENCE.glob("*.md")):
        text = page.read_text("utf-8")
        made = rendered(text)
        if made != text:
            stale.append(page)
            if "--check" not in sys.argv[1:]:
                page.write_text(made, "utf-8")
    for page in stale:
        print(f"{'out of date' if '--check' in sys.argv[1:] else 'written'}: {page}")
    return int(bool(stale) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
