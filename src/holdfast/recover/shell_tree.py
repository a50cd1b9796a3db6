"""Reads the text of a shell script as a tree of lists, pipelines and commands; nothing is run or expanded.

Understood are quotes, here-documents, substitutions, subshells, compound commands and functions, of POSIX shells and of bash. What
is no shell, or was cut, gives some tree, and never an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

DEEPEST: Final = 24  # substitutions, compound commands and scripts within each other
_OPERATOR = re.compile(r"&&|\|\||\|&|;;&|;;|;&|[;|&()\n]")
_REDIRECT = re.compile(r"(?:\d{1,3}|\{\w{1,40}\})?(?:<<<|<<-|<<|<>|<&|>&|>>|>\||>(?!\()|<(?!\())|&>>?")
_WRITING = re.compile(r"[^<]*>")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(?:\[[^]]*\])?\+?=")
_QUOTED_END = re.compile(r"[\\'\"$`\s]")
_PLAIN = re.compile(r"[^\s\\'\"$`;&|()<>]+")
_OPENING: Final = {"if", "while", "until", "for", "select", "case", "function"}
_CLOSING: Final = {"then", "else", "elif", "fi", "do", "done", "esac", "}"}
_ESCAPED = re.compile(r"(?:[^'\\]|\\.)*'?", re.DOTALL)  # the text of $'…'


# ── the tree ──


@dataclass(slots=True)
class Simple:
    words: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    stdin: str | None = None
    within: list[CommandList] = field(default_factory=list)  # substitutions
    assigns: bool = False


@dataclass(slots=True)
class Group:
    """Lists that run as one; `sure`: they run if it does, and its exit code is theirs."""

    lists: list[CommandList]
    sure: bool
    writes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Pipeline:
    items: list[Simple | Group] = field(default_factory=list)
    negated: bool = False


@dataclass(slots=True)
class AndOr:
    pipelines: list[Pipeline]
    operators: list[str]  # between them
    background: bool = False


CommandList = list[AndOr]


# ── from text to tree ──


@dataclass(slots=True)
class _Word:
    text: str
    bare: bool = True  # no quote or escape stands in it
    within: list[CommandList] = field(default_factory=list)


@dataclass(slots=True)
class _Pending:
    """A here-document whose text begins on the next line."""

    end: str
    indented: bool
    expands: bool
    of: Simple


class Parser:
    """A recursive descent over the text; each method takes what it understands, and always goes forward."""

    def __init__(self, text: str, at: int = 0, depth: int = 0) -> None:
        self._text = text
        self.at = at
        self._depth = depth
        self._pending: list[_Pending] = []

    def top(self) -> CommandList:
        out: CommandList = []
        while self.at < len(self._text):
            before = self.at
            out += self._list(frozenset())
            if self.at == before:  # an end of something that never began
                self.at += 1
        return out

    def until_closed(self) -> CommandList:
        """The list up to the `)` that closes it, which is taken too."""
        out = self._list(frozenset())
        while self.at < len(self._text) and self._text[self.at] != ")":
            self.at += 1
            out += self._list(frozenset())
        self.at += 1
        return out

    def _list(self, ends: frozenset[str]) -> CommandList:
        """And-or lists up to `)`, `;;`, a closing word, or the end of the text; none of these is taken."""
        out: CommandList = []
        while True:
            self._separators()
            if self._ends(ends):
                return out
            before = self.at
            found = self._and_or(ends)
            if found.pipelines:
                out.append(found)
            if self._peek_operator() == "&":
                found.background = True
                self.at += 1
            if self.at == before:
                return out

    def _separators(self) -> None:
        while True:
            self._blank()
            operator = self._peek_operator()
            if operator == "\n":
                self._newline()
            elif operator == ";":
                self.at += 1
            else:
                return

    def _ends(self, ends: frozenset[str]) -> bool:
        if self.at >= len(self._text) or self._peek_operator() in {")", ";;", ";&", ";;&"}:
            return True
        return self._peek_word() in (ends or _CLOSING)

    def _and_or(self, ends: frozenset[str]) -> AndOr:
        pipelines, operators = [self._pipeline(ends)], []
        while (operator := self._peek_operator()) in {"&&", "||"}:
            self.at += 2
            self._newlines()
            operators.append(operator)
            pipelines.append(self._pipeline(ends))
        if not any(one.items for one in pipelines):
            return AndOr([], [])
        return AndOr(pipelines, operators)

    def _newlines(self) -> None:
        self._blank()
        while self._peek_operator() == "\n":
            self._newline()
            self._blank()

    def _pipeline(self, ends: frozenset[str]) -> Pipeline:
        out = Pipeline()
        self._blank()
        while self._peek_word() in {"!", "time"}:
            out.negated |= self._take_word() == "!"
        while True:
            found = self._command(ends)
            if found is not None:
                out.items.append(found)
            operator = self._peek_operator()
            if operator not in {"|", "|&"}:
                return out
            self.at += len(operator)
            self._newlines()

    def _command(self, ends: frozenset[str]) -> Simple | Group | None:
        self._blank()
        if self._peek_operator() == "(":
            return self._parenthesised()
        word = self._peek_word()
        if word in (ends or _CLOSING):
            return None
        if word == "{":
            self._take_word()
            found = self._nested(frozenset({"}"}))
            self._take_if("}")
            return self._with_redirects(Group([found], sure=True))
        if word in _OPENING:
            self._take_word()
            return self._with_redirects(self._compound(word))
        if word == "[[":
            self._skip_test()
            return Simple(["[["])
        return self._simple()

    def _parenthesised(self) -> Group:
        if self._text.startswith("((", self.at):
            self._skip_balanced()
            return Group([], sure=True)
        self.at += 1
        return self._with_redirects(Group([self._within()], sure=True))

    def _within(self) -> CommandList:
        """A list of its own up to its `)`. Too deep, the rest of the text is given up."""
        if self._depth >= DEEPEST:
            self.at = len(self._text)
            return []
        inner = Parser(self._text, self.at, self._depth + 1)
        found = inner.until_closed()
        self.at = min(inner.at, len(self._text))
        return found

    def _nested(self, ends: frozenset[str]) -> CommandList:
        if self._depth >= DEEPEST:
            self.at = len(self._text)
            return []
        self._depth += 1
        found = self._list(ends)
        self._depth -= 1
        return found

    def _compound(self, word: str) -> Group:
        """What stands in `if`, `for`, `case` and so on may run, or not, or more than once."""
        if word == "case":
            return Group(self._case(), sure=False)
        if word in {"for", "select", "function"}:
            self._skip_head()
        if word == "function":
            found = self._command(frozenset())
            return Group([[AndOr([Pipeline([found])], [])]] if found else [], sure=False)
        lists = []
        end = "fi" if word == "if" else "done"
        ends = frozenset({"then", "else", "elif", "fi"} if word == "if" else {"do", "done"})
        while self.at < len(self._text):
            before = self.at
            lists.append(self._nested(ends))
            taken = self._peek_word()
            if taken not in ends:
                break
            self._take_word()
            if taken == end or self.at == before:
                break
        return Group(lists, sure=False)

    def _skip_head(self) -> None:
        """The words between `for` or `function` and what runs."""
        while self.at < len(self._text):
            self._blank()
            if self._text.startswith("((", self.at):
                self._skip_balanced()
            elif self._text.startswith("()", self.at):
                self.at += 2
            elif self._peek_operator() or self._peek_word() in {"do", "{"}:
                if self._peek_operator() in {";", "\n"}:
                    self._separators()
                return
            elif self._take_word() is None:
                return

    def _case(self) -> list[CommandList]:
        self._newlines()
        while self.at < len(self._text) and self._peek_word() != "in":
            if self._take_word() is None:
                return []
            self._newlines()
        self._take_if("in")
        lists = []
        while self.at < len(self._text):
            self._separators()
            if self._take_if("esac"):
                break
            before = self.at
            while self.at < len(self._text) and self._text[self.at] not in ")\n":
                if self._take_word() is None:
                    self.at += 1
            self.at += 1
            lists.append(self._nested(frozenset({"esac"})))
            if (operator := self._peek_operator()) in {";;", ";&", ";;&"}:
                self.at += len(operator)
            elif self.at == before:
                break
        return lists

    def _skip_test(self) -> None:
        while self.at < len(self._text):
            self._blank()
            word = self._take_word()
            if word == "]]":
                return
            if word is None:
                self.at += 1

    def _skip_balanced(self) -> None:
        """From one `(` to the `)` that closes it; quotes are not looked at."""
        open_ = 0
        for at in range(self.at, len(self._text)):
            open_ += {"(": 1, ")": -1}.get(self._text[at], 0)
            if not open_:
                self.at = at + 1
                return
        self.at = len(self._text)

    def _with_redirects(self, group: Group) -> Group:
        taken = Simple()
        self._blank()
        while self._redirect(taken):
            self._blank()
        group.writes = taken.writes
        return group

    def _simple(self) -> Simple | Group | None:
        out = Simple()
        while True:
            self._blank()
            if self.at >= len(self._text):
                break
            if self._redirect(out):
                continue
            operator = self._peek_operator()
            if operator == "(" and len(out.words) == 1 and self._text.startswith("()", self.at):
                self.at += 2
                self._newlines()
                body = self._command(frozenset())
                return Group([[AndOr([Pipeline([body])], [])]] if body else [], sure=False)
            if operator is not None:
                break
            word = self._word()
            if word is None:
                break
            out.within += word.within
            if not out.words and _ASSIGNMENT.match(word.text):
                out.assigns = True
            else:
                out.words.append(word.text)
        return out if out.words or out.within or out.writes else None

    def _redirect(self, of: Simple) -> bool:
        found = _REDIRECT.match(self._text, self.at)
        if found is None:
            return False
        operator = found[0].lstrip("0123456789") if found[0][0] != "{" else found[0].partition("}")[2]
        self.at = found.end()
        self._blank()
        word = self._word()
        if word is None:
            return True
        of.within += word.within
        if operator in {"<<", "<<-"}:
            self._pending.append(_Pending(word.text, operator == "<<-", word.bare, of))
        elif operator == "<<<":
            of.stdin = word.text
        elif _WRITING.match(operator) and not _is_descriptor(word.text):
            of.writes.append(word.text)
        return True

    # ── letters ──

    def _blank(self) -> None:
        """Go to the next thing on this line."""
        text = self._text
        while self.at < len(text):
            if text[self.at] in " \t\r\f\v":
                self.at += 1
            elif text.startswith("\\\n", self.at):
                self.at += 2
            elif text[self.at] == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            else:
                return

    def _peek_operator(self) -> str | None:
        found = _OPERATOR.match(self._text, self.at)
        if found is None or (found[0] == "&" and self._text.startswith("&>", self.at)):
            return None
        return found[0]

    def _peek_word(self) -> str | None:
        """The plain word that stands next; None: another thing does."""
        found = _PLAIN.match(self._text, self.at)
        if found is None:
            return None
        behind = self._text[found.end() : found.end() + 1]
        return None if behind and behind in "\\'\"$`" else found[0]

    def _take_word(self) -> str | None:
        self._blank()
        word = self._word()
        return word.text if word else None

    def _take_if(self, word: str) -> bool:
        self._blank()
        if self._peek_word() != word:
            return False
        self.at += len(word)
        return True

    def _newline(self) -> None:
        """Past the end of a line, and of the here-documents that it announced."""
        self.at += 1
        pending, self._pending = self._pending, []
        for one in pending:
            self._here_document(one)

    def _here_document(self, one: _Pending) -> None:
        lines: list[str] = []
        while self.at < len(self._text):
            end = self._text.find("\n", self.at)
            end = len(self._text) if end < 0 else end
            line = self._text[self.at : end]
            self.at = min(end + 1, len(self._text))
            plain = line.lstrip("\t") if one.indented else line
            if plain.rstrip("\r") == one.end:
                break
            lines.append(plain)
        one.of.stdin = "\n".join(lines)
        if one.expands and "$(" in one.of.stdin:
            inner = Parser(one.of.stdin, 0, self._depth + 1)
            one.of.within += inner.quoted(until=None).within

    def _word(self) -> _Word | None:
        """The word that stands here, without its quotes."""
        text, out, parts, begun = self._text, _Word(""), [], self.at
        while self.at < len(text):
            letter = text[self.at]
            if found := _PLAIN.match(text, self.at):
                parts.append(found[0])
                self.at = found.end()
            elif letter == "\\":
                parts.append("" if text.startswith("\\\n", self.at) else text[self.at + 1 : self.at + 2])
                out.bare = False
                self.at += 2
            elif letter == "'":
                parts.append(self._single_quoted())
                out.bare = False
            elif letter == '"':
                self.at += 1
                inner = self.quoted(until='"')
                parts.append(inner.text)
                out.within += inner.within
                out.bare = False
            elif letter in "$`":
                parts.append(self._expansion(out))
            elif letter in "<>" and text.startswith("(", self.at + 1):
                self.at += 2
                out.within.append(self._within())
            elif letter == "(" and parts and parts[-1].endswith("="):
                self._skip_balanced()  # an array
            else:
                break
        self.at = min(self.at, len(text))
        out.text = "".join(parts)
        return out if self.at > begun else None

    def _single_quoted(self) -> str:
        begun = self.at + 1
        end = self._text.find("'", begun)
        end = len(self._text) if end < 0 else end
        self.at = end + 1
        return self._text[begun:end]

    def quoted(self, until: str | None) -> _Word:
        """Text in which only `$`, backquotes and backslashes mean something; the quote at its end is taken."""
        text, out, parts = self._text, _Word(""), []
        while self.at < len(text):
            letter = text[self.at]
            if letter == until:
                self.at += 1
                break
            if letter == "\\":
                parts.append("" if text.startswith("\\\n", self.at) else text[self.at + 1 : self.at + 2])
                self.at += 2
            elif letter in "$`":
                parts.append(self._expansion(out))
            else:
                found = _QUOTED_END.search(text, self.at + 1)
                end = found.start() if found else len(text)
                parts.append(text[self.at : end])
                self.at = end
        self.at = min(self.at, len(text))
        out.text = "".join(parts)
        return out

    def _expansion(self, into: _Word) -> str:
        """`$NAME`, `${…}`, `$(…)`, a backquote: what stands for it in a word."""
        text, begun = self._text, self.at
        if text[begun] == "`":
            end = text.find("`", begun + 1)
            end = len(text) if end < 0 else end
            if self._depth < DEEPEST:
                into.within.append(Parser(text[begun + 1 : end], 0, self._depth + 1).top())
            self.at = end + 1
            return "$(…)"
        if text.startswith("$((", begun):
            self.at = begun + 1
            self._skip_balanced()
            return text[begun : self.at]
        if text.startswith("$(", begun):
            self.at = begun + 2
            found = self._within()
            into.within.append(found)
            return _given_back(found)
        if text.startswith("${", begun):
            end = text.find("}", begun)
            self.at = len(text) if end < 0 else end + 1
            return text[begun : self.at]
        if text.startswith("$'", begun):
            escaped = _ESCAPED.match(text, begun + 2)
            self.at = escaped.end() if escaped else len(text)
            return text[begun + 2 : self.at].rstrip("'")
        self.at = begun + 1
        return "$"


def _given_back(found: CommandList) -> str:
    """The text that `$(cat <<EOF …)` gives back; of any other substitution it is not known."""
    if len(found) == 1 and len(found[0].pipelines) == 1 and len(found[0].pipelines[0].items) == 1:
        one = found[0].pipelines[0].items[0]
        if isinstance(one, Simple) and one.words == ["cat"] and one.stdin is not None:
            return one.stdin
    return "$(…)"


def _is_descriptor(word: str) -> bool:
    return word.rstrip("-").isdigit() or word in {"", "-"} or word.startswith("/dev/")
