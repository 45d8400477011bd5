"""The page of all errors, from their classes and from every place that raises one."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from sonic_ops.core import errors
from sonic_ops.core.errors import SonicError
from tests.pages.source import LAYERS, REPOSITORY, Page

PATH = "flows/ERRORS.md"
HEAD = """# Errors and remedies

`make docs` writes this page from `sonic_ops/core/errors.py` and every place that raises one of
its errors. Search here for the message you saw; `…` and *words* stand for what varies. Messages
and remedies appear on the terminal and in the columns `error_class`, `error` and `remedy` of the
results. An error of any other class is a bug: `error.txt` in the row's work folder has the
traceback. Exit status: 0 every row is finished, 1 some rows are not, 2 nothing could start, 130
stopped.

| class | meaning | what happens next |
| --- | --- | --- |
"""


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """What one place raises: the sentence and the remedy."""

    message: str
    remedy: str


def errors_page() -> Page:
    """The page of all errors: what they mean, what happens next, and all that they say."""
    said = _said()
    kinds = [kind for kind in _tree(SonicError) if kind is not SonicError]
    table = "".join(
        f"| `{kind.__name__}` | {(kind.__doc__ or '').partition(chr(10))[0]} | {kind.then} |\n"
        for kind in kinds
    )
    parts = [
        f"\n## {kind.__name__}\n\n| message | remedy |\n| --- | --- |\n{rows}"
        for kind in kinds
        if (rows := _rows(said.get(kind.__name__, set())))
    ]
    return Page(PATH, HEAD + table + "".join(parts))


def _rows(said: set[Said]) -> str:
    return "".join(
        f"| {_cell(one.message)} | {_cell(one.remedy)} |\n"
        for one in sorted(said)
        if one.message != "…"
    )


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")


def _tree(kind: type[SonicError]) -> Iterator[type[SonicError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _tree(below)


def _said() -> dict[str, set[Said]]:
    """What is raised anywhere, by the name of the class."""
    trees = [
        ast.parse(path.read_text("utf-8"))
        for layer in LAYERS
        for path in sorted((REPOSITORY / layer).rglob("*.py"))
    ]
    constants = [text for tree in trees for text in _texts(tree) if text.name.isupper()]
    found: dict[str, set[Said]] = {kind.__name__: set() for kind in _tree(SonicError)}
    for tree in trees:
        own = _texts(tree)
        for call in ast.walk(tree):
            name = getattr(getattr(call, "func", None), "id", "")
            if isinstance(call, ast.Call) and name in found and call.args:
                known = constants + [text for text in own if text.line <= call.lineno]
                names = {text.name: text.value for text in known}  # the last one counts
                message = _words(call.args[0], names)
                found[name] |= {
                    Said(message, _words(keyword.value, names))
                    for keyword in call.keywords
                    if keyword.arg == "remedy"
                }
    return found


@dataclass(frozen=True, slots=True)
class _Text:
    """A name that a file gives to a text, and where."""

    name: str
    line: int
    value: ast.expr


def _texts(tree: ast.AST) -> list[_Text]:
    return [
        _Text(target.id, node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.JoinedStr)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]


def _words(value: ast.expr, names: dict[str, ast.expr]) -> str:
    """A text as the code writes it, with `…` or the name of what is filled in."""
    words = "…"
    match value:
        case ast.Constant():
            words = str(value.value)
        case ast.JoinedStr():
            words = "".join(_words(part, names) for part in value.values)
        case ast.FormattedValue():
            words = _words(value.value, names)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in names:
            words = _words(names[name], names)
        case ast.Name(id=name):
            words = f"*{name}*"
        case ast.BinOp(op=ast.Add()):
            words = _words(value.left, names) + _words(value.right, names)
        case ast.IfExp():
            words = f"{_words(value.body, names)} / {_words(value.orelse, names)}"
    return words
