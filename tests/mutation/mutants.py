"""What can be wrong in one place of a module: each mutant is one small change of its syntax tree.

The operators are those of wrong guards: a comparison that is off by one, a condition that always or never holds, a part
of it that is missing, a step, a key or an element that was forgotten, a wrong constant, no result. Sentences for people
are left alone: that they are good no test can tell. Words (`xl`, `--yes`, `create `) are not.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).parents[2]
Lines = range
_WORD = re.compile(r"\S* ?")  # with a final space: what begins a line or a step
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_OPPOSITE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OTHER_OPERATOR: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
_OTHER_FUNCTION = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list"}
_OTHER_METHOD = {
    "startswith": "endswith",
    "removeprefix": "removesuffix",
    "fullmatch": "match",
    "partition": "rpartition",
}


@dataclass(frozen=True)
class Mutant:
    """`scope` is the outermost function it is in, "" for what runs at import. `lines` are those of the statement, or of
    the head of a compound one. `names`: at import, what the statement binds. `apply` changes the tree for good."""

    path: str
    scope: str
    text: str
    lines: Lines
    names: frozenset[str]
    apply: Callable[[], None]
    tree: ast.Module | None = None
    number: int = 1

    def code(self) -> CodeType:
        """Of the module, as it is since `apply`."""
        assert self.tree is not None
        return compile(self.tree, str(ROOT / self.path), "exec", dont_inherit=True)

    @property
    def id(self) -> str:
        """The same as long as its function is, wherever that stands in the file."""
        again = f" (no. {self.number})" if self.number > 1 else ""
        return f"{self.path}: {self.scope or 'import'}: {self.text}{again}"


@dataclass
class _Place:
    scope: str = ""
    lines: Lines = field(default=range(0))
    names: frozenset[str] = frozenset()
    words: bool = True  # whether words count here


def mutants_of(path: str, text: str) -> list[Mutant]:
    """Of one module; they share its tree, so only one of them may be applied in a process."""
    tree = ast.parse(text, path)
    skipped = {number for number, line in enumerate(text.split("\n"), 1) if "pragma: no cover" in line}
    found = [mutant for mutant in _Walk(path).body(tree.body, _Place()) if skipped.isdisjoint(mutant.lines)]
    count: Counter[str] = Counter()
    numbered = []
    for each in found:
        count[each.id] += 1
        numbered.append(Mutant(**{**vars(each), "tree": tree, "number": count[each.id]}))
    return numbered


class _Walk:
    def __init__(self, path: str) -> None:
        self.path = path

    def mutant(self, place: _Place, text: str, apply: Callable[[], None]) -> Mutant:
        return Mutant(self.path, place.scope, text, place.lines, place.names, apply)

    def body(self, body: list[ast.stmt], place: _Place, bound: set[str] | None = None) -> Iterator[Mutant]:
        bound = set() if bound is None else bound
        for number, statement in enumerate(body):
            here = _Place(place.scope, _head(statement), place.names, place.words)
            if not here.scope:
                here.names = _bound_by(statement)
            if _may_be_removed(statement, bound, bool(here.scope)):
                yield self.mutant(here, f"without `{_short(statement)}`", _setter(body, number, ast.Pass()))
            yield from self.statement(statement, here, bound)
            bound |= _bound_by(statement)

    def statement(self, node: ast.stmt, place: _Place, bound: set[str]) -> Iterator[Mutant]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for default in ("defaults", "kw_defaults"):
                    yield from self.fields(node.args, (default,), place)
                scope = place.scope or node.name
                arguments = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
                yield from self.body(node.body, _Place(scope), arguments)
            case ast.ClassDef():
                enum = any("Enum" in ast.unparse(base) for base in node.bases)  # what a member is called is its own
                for inner in self.body(node.body, _Place(words=not enum), set()):
                    scope = f"{node.name}.{inner.scope}" if inner.scope else ""
                    names = inner.names | {node.name} if not scope else frozenset()
                    yield Mutant(**{**vars(inner), "scope": scope, "names": names})
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Global() | ast.Nonlocal():
                return
            case ast.Continue() | ast.Break():
                return
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                return  # for linters: nothing imports `*`
            case ast.Return():
                if node.value is not None and not _is(node.value, None):
                    yield self.mutant(
                        place, f"`{_short(node)}` to `return None`", _setter(node, "value", ast.Constant(None))
                    )
                yield from self.fields(node, ("value",), place)
            case ast.AnnAssign():
                yield from self.fields(node, ("value",), place)
            case ast.Expr(value=ast.Constant()):
                return  # a docstring
            case ast.Raise():
                yield from self.fields(node, ("exc",), place)
            case ast.If() | ast.While():
                if ast.unparse(node.test) == "TYPE_CHECKING":
                    return
                yield from self.condition(node, "test", place, always=isinstance(node, ast.If))
                yield from self.body(node.body, place, bound)
                yield from self.body(node.orelse, place, bound)
            case ast.For():
                yield from self.fields(node, ("iter",), place)
                yield from self.body(node.body, place, bound | _bound_by(node))
                yield from self.body(node.orelse, place, bound)
            case ast.With():
                for item in node.items:
                    yield from self.expression(item.context_expr, place)
                yield from self.body(node.body, place, bound)
            case ast.Try():
                yield from self.body(node.body, place, bound)
                for handler in node.handlers:
                    yield from self.body(handler.body, place, bound)
                yield from self.body(node.orelse, place, bound)
                yield from self.body(node.finalbody, place, bound)
            case ast.Match():
                yield from self.fields(node, ("subject",), place)
                for case in node.cases:
                    lines = range(case.pattern.lineno, case.body[0].lineno)
                    here = _Place(place.scope, lines or range(lines.start, lines.start + 1), place.names)
                    if case.guard is not None:
                        yield from self.condition(case, "guard", here)
                    yield from self.body(case.body, place, bound)
            case _:
                yield from self.fields(node, node._fields, place)

    def fields(self, node: ast.AST, names: tuple[str, ...], place: _Place) -> Iterator[Mutant]:
        """What can be wrong in these fields of a node: each is an expression, or a list of them."""
        for name in names:
            value = getattr(node, name, None)
            if isinstance(value, ast.expr):
                yield from self.replaced(value, place, _putter(node, name))
                yield from self.expression(value, place)
            elif isinstance(value, list):
                for number, each in enumerate(value):
                    if isinstance(each, ast.expr):
                        yield from self.replaced(each, place, _putter(value, number))
                        yield from self.expression(each, place)

    def condition(self, owner: object, where: str | int, place: _Place, always: bool = True) -> Iterator[Mutant]:
        """It always holds, or never; and what can be wrong in it. To turn it round would be less than either."""
        test = getattr(owner, where) if isinstance(where, str) else owner[where]  # type: ignore[index]
        for value in (True, False) if always else (False,):
            if not _is(test, value):
                word = "always" if value else "never"
                yield self.mutant(place, f"{word} `{_short(test)}`", _setter(owner, where, ast.Constant(value)))
        for mutant in self.replaced(test, place, _putter(owner, where)):
            if not mutant.text.endswith(f"to `{_short(_turned(test))}`"):
                yield mutant
        yield from self.expression(test, place)

    def replaced(
        self, node: ast.expr, place: _Place, put: Callable[[ast.expr], Callable[[], None]]
    ) -> Iterator[Mutant]:
        """Another expression in the place of this one."""

        def instead(new: ast.expr) -> Mutant:
            return self.mutant(place, f"`{_short(node)}` to `{_short(new)}`", put(new))

        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield instead(operand)
            case ast.BoolOp(op=op, values=values):
                other: ast.boolop = ast.Or() if isinstance(op, ast.And) else ast.And()
                yield instead(ast.BoolOp(other, values))
                for number in range(len(values)):
                    rest = values[:number] + values[number + 1 :]
                    yield instead(rest[0] if len(rest) == 1 else ast.BoolOp(op, rest))
            case ast.Compare(left=left, ops=ops, comparators=right):
                for number, operator in enumerate(ops):
                    for new in _OPPOSITE[type(operator)]:
                        yield instead(ast.Compare(left, [*ops[:number], new(), *ops[number + 1 :]], right))
                    if isinstance(elements := right[number], ast.Tuple | ast.List | ast.Set) and len(ops) == 1:
                        for fewer in _fewer(elements):
                            yield instead(ast.Compare(left, ops, [fewer]))
            case ast.BinOp(left=left, op=op, right=right_side):
                yield instead(ast.BinOp(left, _OTHER_OPERATOR[type(op)](), right_side))
            case ast.Constant(value=value):
                yield from (instead(ast.Constant(new)) for new in _other_values(value, place.words))
            case ast.JoinedStr(values=parts) if _is_word(parts):
                yield instead(ast.JoinedStr([ast.Constant("XX"), *parts]))
            case ast.List() | ast.Dict() | ast.Set():
                yield from (instead(fewer) for fewer in _fewer(node))
            case ast.Tuple(elts=elements) if any(isinstance(each, ast.Starred) for each in elements):
                yield from (instead(fewer) for fewer in _fewer(node))
            case ast.Call(func=ast.Name(id=name), args=[_]) if name in _OTHER_FUNCTION:
                yield instead(ast.Call(ast.Name(_OTHER_FUNCTION[name], ast.Load()), node.args, []))
            case ast.Call(func=ast.Name(id=name)) if name in _OTHER_FUNCTION:
                yield instead(ast.Call(ast.Name(_OTHER_FUNCTION[name], ast.Load()), node.args, _without_key(node)))
            case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _OTHER_METHOD:
                method = ast.Attribute(owner, _OTHER_METHOD[name], ast.Load())
                yield instead(ast.Call(method, node.args, node.keywords))
        if isinstance(node, ast.Call):
            for number, keyword in enumerate(node.keywords):
                if keyword.arg is not None and not _is(keyword.value, None):
                    rest_of = node.keywords[:number] + node.keywords[number + 1 :]
                    yield self.mutant(
                        place, f"`{_short(node)}` without {keyword.arg}", put(ast.Call(node.func, node.args, rest_of))
                    )

    def expression(self, node: ast.expr, place: _Place) -> Iterator[Mutant]:
        """What can be wrong inside."""
        match node:
            case ast.JoinedStr():
                for part in node.values:
                    if isinstance(part, ast.FormattedValue):
                        yield from self.fields(part, ("value",), place)
            case ast.Call():
                inside = node.func.value if isinstance(node.func, ast.Attribute) else None
                if inside is not None:
                    yield from self.fields(node.func, ("value",), place)
                yield from self.fields(node, ("args",), place)
                for keyword in node.keywords:
                    yield from self.fields(keyword, ("value",), place)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                yield from self.fields(node, ("elt", "key", "value"), place)
                for generator in node.generators:
                    yield from self.fields(generator, ("iter",), place)
                    for number in range(len(generator.ifs)):
                        yield from self.condition(generator.ifs, number, place)
            case ast.IfExp():
                yield from self.condition(node, "test", place)
                yield from self.fields(node, ("body", "orelse"), place)
            case ast.Lambda():
                yield from self.fields(node, ("body",), place)
            case ast.Constant() | ast.Name():
                return
            case _:
                yield from self.fields(node, node._fields, place)


def _setter(owner: object, where: str | int, new: ast.AST) -> Callable[[], None]:
    def apply() -> None:
        old = getattr(owner, where) if isinstance(where, str) else owner[where]  # type: ignore[index]
        ast.copy_location(new, old)
        for child in ast.walk(new):
            if not hasattr(child, "lineno"):
                ast.copy_location(child, old)
        if isinstance(where, str):
            setattr(owner, where, new)
        else:
            owner[where] = new  # type: ignore[index]

    return apply


def _putter(owner: object, where: str | int) -> Callable[[ast.expr], Callable[[], None]]:
    return lambda new: _setter(owner, where, new)


def _head(node: ast.stmt) -> Lines:
    """Its lines; of a compound statement those above its body."""
    if isinstance(node, ast.Match):
        return range(node.lineno, node.cases[0].pattern.lineno)
    body = getattr(node, "body", None)
    if isinstance(body, list) and body:
        return range(node.lineno, max(body[0].lineno, node.lineno + 1))
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _turned(test: ast.expr) -> ast.expr:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.Compare(left=left, ops=[op], comparators=right):
            return ast.Compare(left, [_OPPOSITE[type(op)][-1]()], right)
    return ast.UnaryOp(ast.Not(), test)


def _bound_by(node: ast.stmt) -> frozenset[str]:
    found = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            found.add(child.id)
    if isinstance(node, (*_FUNCTION, ast.ClassDef)):
        found.add(node.name)
    return frozenset(found)


def _may_be_removed(node: ast.stmt, bound: set[str], in_function: bool) -> bool:
    """Whether the rest makes sense without it: a call, a change of what is there, a second binding of a name."""
    match node:
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Continue() | ast.Break() | ast.Raise():
            return True
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()):
            return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return in_function and name in bound
    return False


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _other_values(value: object, words: bool) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value * 2 + 1
    elif isinstance(value, str):
        if words and _WORD.fullmatch(value):
            yield "XX" + value
    elif isinstance(value, bytes):
        yield b"XX" + value


def _is_word(parts: list[ast.expr]) -> bool:
    text = "".join(part.value for part in parts if isinstance(part, ast.Constant))
    return _WORD.fullmatch(text) is not None


def _fewer(node: ast.expr) -> Iterator[ast.expr]:
    """The display without one of its elements."""
    if isinstance(node, ast.Dict):
        for number in range(len(node.keys)):
            yield ast.Dict(_but(node.keys, number), _but(node.values, number))
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        for number in range(len(node.elts)):
            elements = _but(node.elts, number)
            if isinstance(node, ast.Set):
                yield ast.Set(elements) if elements else ast.Tuple([], ast.Load())
            else:
                yield type(node)(elements, ast.Load())


def _but(values: list[Any], number: int) -> list[Any]:
    return values[:number] + values[number + 1 :]


def _without_key(node: ast.Call) -> list[ast.keyword]:
    """`list` has none of the keywords of `sorted`."""
    other = isinstance(node.func, ast.Name) and _OTHER_FUNCTION[node.func.id] == "list"
    return [] if other else node.keywords


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 110 else text[:70] + " … " + text[-35:]
