"""Tokens of BIF -> its blocks: variables with their states, and rows of probabilities; names as written."""

from __future__ import annotations

from dataclasses import dataclass, field

from dagmodels.graph.bif import MARKS
from dagmodels.readers.bif.tokens import Tokens, name_of


@dataclass(slots=True)
class Variable:
    """`variable x { type discrete [ 2 ] { yes, no }; }`; `at` is the token of the name.

    plate : of `property plate = name`, which our writer leaves where a plate has a name of its own.
    """

    name: str
    at: int
    states: tuple[str, ...] = ()
    plate: str | None = None


@dataclass(slots=True)
class Row:
    """Numbers of one combination of the parents' states; `states` is None for `table` and `default`."""

    kind: str
    states: tuple[str, ...] | None
    numbers: list[float]
    at: int


@dataclass(slots=True)
class Block:
    """`probability ( x | a, b ) { ... }`; `at` are the tokens of the names."""

    name: str
    parents: tuple[str, ...]
    at: tuple[int, ...]
    rows: list[Row] = field(default_factory=list[Row])


@dataclass(slots=True)
class Parsed:
    """The blocks in order."""

    name: str
    variables: list[Variable]
    blocks: list[Block]


def parse(tokens: Tokens) -> Parsed:
    """The blocks of a text.

    Raises ModelErrors at the first token that no BIF has there.
    """
    return _Parser(tokens).parsed()


class _Parser:
    def __init__(self, tokens: Tokens) -> None:
        self.tokens, self.words, self.at = tokens, tokens.words, 0

    def parsed(self) -> Parsed:
        found = Parsed("", [], [])
        named = False
        while self.at < len(self.words):
            match self.words[self.at]:
                case "network":
                    if named:
                        self.tokens.stop(self.at, "A text has one network.", "drop the second block")
                    named = True
                    found.name = self._network()
                case "variable":
                    found.variables.append(self._variable())
                case "probability":
                    found.blocks.append(self._block())
                case _:
                    told = f"{self.tokens.shown(self.at)} begins no block."
                    self.tokens.stop(self.at, told, "network, variable or probability")
        if not named:
            self.tokens.stop(
                0, "The text has no `network` block.", "a BIF text begins with `network name { }`"
            )
        return found

    def _network(self) -> str:
        self.at += 1
        name = "" if self._peek() == "{" else self._word("the network's name")
        self._expect("{")
        while self._peek() != "}":
            if self._peek() != "property":
                self.tokens.stop(
                    self.at, f"A network block holds properties, not {self.tokens.shown(self.at)}."
                )
            self._property()
        self.at += 1
        return name

    def _variable(self) -> Variable:
        self.at += 1
        found = Variable("", self.at)
        found.name = self._word("a variable's name")
        typed = False
        self._expect("{")
        while (word := self._peek()) != "}":
            if word == "property":
                plate = self._property()
                found.plate = plate if plate is not None else found.plate
            elif word == "type" and not typed:
                typed = True
                found.states = self._states(found.name)
            else:
                told = f"The block of `{found.name}` has {self.tokens.shown(self.at)}."
                self.tokens.stop(self.at, told, "write `type discrete [ 2 ] { yes, no };`")
        if not typed:
            self.tokens.stop(
                self.at, f"`{found.name}` has no type.", "write `type discrete [ 2 ] { yes, no };`"
            )
        self.at += 1
        return found

    def _states(self, name: str) -> tuple[str, ...]:
        self.at += 1
        kind = self._word("a type")
        if kind != "discrete":
            told = f"`{name}` has the type {kind}."
            self.tokens.stop(self.at - 1, told, "networks of discrete variables are read")
        self._expect("[")
        counted = self.at
        size = self._word("the number of states")
        self._expect("]")
        self._expect("{")
        states: list[str] = []
        while self._peek() != "}":
            if states and self._peek() == ",":
                self.at += 1
            states.append(self._word(f"a state of `{name}`"))
        self.at += 1
        if self._peek() == ";":
            self.at += 1
        if not states:
            self.tokens.stop(counted, f"`{name}` has no states.", "list them in braces")
        if size != str(len(states)):
            self.tokens.stop(counted, f"`{name}` has {len(states)} states, not {size}.", "let both agree")
        return tuple(states)

    def _block(self) -> Block:
        self.at += 1
        self._expect("(")
        names: list[str] = []
        at: list[int] = []
        while self._peek() != ")":
            if names and self._peek() in (",", "|"):
                self.at += 1
            at.append(self.at)
            names.append(self._word("a variable's name"))
        if not names:
            self.tokens.stop(
                self.at, "A probability block names no variable.", "write `probability ( x | a ) {`"
            )
        self.at += 1
        found = Block(names[0], tuple(names[1:]), tuple(at))
        self._expect("{")
        while (word := self._peek()) != "}":
            if word == "(":
                found.rows.append(self._row())
            elif word in ("table", "default"):
                self.at += 1
                found.rows.append(self._numbers(word, None, self.at - 1))
            elif word == "property":
                self._property()
            else:
                told = f"The probabilities of `{found.name}` have {self.tokens.shown(self.at)}."
                self.tokens.stop(self.at, told, "write `table 0.2, 0.8;` or `(yes) 0.2, 0.8;`")
        self.at += 1
        return found

    def _row(self) -> Row:
        """`(yes, no) 0.2, 0.8;`"""
        begin = self.at
        end = self._find(")")
        states = self.words[begin + 1 : end]
        names = tuple(states[::2])
        if any(s != "," for s in states[1::2]) or any(n in MARKS for n in names):
            names = tuple(s for s in states if s != ",")
            wrong = next((k for k, s in enumerate(states) if s in MARKS and s != ","), None)
            if wrong is not None:
                self.tokens.stop(
                    begin + 1 + wrong, f"A row's states hold {self.tokens.shown(begin + 1 + wrong)}."
                )
        self.at = end + 1
        return self._numbers("row", tuple(map(name_of, names)), begin)

    def _numbers(self, kind: str, states: tuple[str, ...] | None, begin: int) -> Row:
        end = self._find(";")
        words = self.words[self.at : end]
        if "," in words:
            words = words[::2] if all(w == "," for w in words[1::2]) else [w for w in words if w != ","]
        try:
            numbers = list(map(float, words))
        except ValueError:
            numbers = []
        if not numbers or any("_" in w for w in words):
            wrong = next((k for k in range(self.at, end) if not self._is_number(k)), end)
            self.tokens.stop(wrong, f"{self.tokens.shown(wrong)} is no number.", "a row ends with `;`")
        self.at = end + 1
        return Row(kind, states, numbers, begin)

    def _is_number(self, at: int) -> bool:
        word = self.words[at]
        try:
            float(word)
        except ValueError:
            return word == ","
        return "_" not in word

    def _property(self) -> str | None:
        """Skips a property; the plate's name where it tells that."""
        end = self._find(";")
        words = self.words[self.at + 1 : end]
        self.at = end + 1
        return name_of(words[2]) if len(words) == 3 and words[:2] == ["plate", "="] else None

    def _find(self, mark: str) -> int:
        try:
            return self.words.index(mark, self.at)
        except ValueError:
            self.tokens.stop(
                self.at, f"After {self.tokens.shown(self.at)} there is no `{mark}`.", f"add `{mark}`"
            )

    def _peek(self) -> str:
        if self.at >= len(self.words):
            self.tokens.stop(self.at, "The text ends within a block.", "close it with `}`")
        return self.words[self.at]

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            self.tokens.stop(self.at, f"Here is {self.tokens.shown(self.at)}, not `{mark}`.", f"add `{mark}`")
        self.at += 1

    def _word(self, what: str) -> str:
        word = self._peek()
        if word in MARKS or word == '"':
            self.tokens.stop(self.at, f"Here is {self.tokens.shown(self.at)}, not {what}.")
        self.at += 1
        return name_of(word)
