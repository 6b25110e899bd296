"""The rules of the house, read off its syntax trees: floors, faces, circles, hooks, look-ups.

    python -m tests.import_rules [--all]

Everything here is a function of a mapping from a module's name to its source. Every import counts:
at the top of a file, inside a function, under TYPE_CHECKING, and a string that names a module. An
import depends on the module that it names, not on the packages above it:

    from interp.results.grid import Grid    interp/results/grid.py
    from interp.results import Grid         the face, interp/results/__init__.py
    from interp.results import grid         interp/results/grid.py
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

ROOMS = ("interp", "probes", "app")
FAMILIES = (
    *("attribution", "heads", "ablation", "geometry", "precision", "behaviour", "suites"),
    *("training", "planted"),
)
CATALOGUE = "interp.catalogue"
FACES = "interp.faces"  # what every face is made with
READERS = (FACES, "interp.results.kinds")  # they import what the catalogue's strings name
FLOORS: tuple[tuple[str, ...], ...] = (
    ("interp.errors", "interp.faces"),
    ("interp.arithmetic",),
    ("interp.results",),
    ("interp.figures",),
    ("interp.models",),
    ("interp.engine",),
    tuple(f"interp.{family}" for family in FAMILIES),
    ("interp.loading",),
    ("probes",),
    ("interp.stack",),
    (CATALOGUE,),
    ("interp.many",),
    ("interp.published",),
    ("app",),
)
"""From the ground up. A module may import from its own floor and from those below it."""
TOP = "interp.published"  # the library's face hands on what stands up to this floor

_HOOKING = re.compile(r"register_\w*hook|add_(perma_)?hook|run_with_hooks|run_with_cache")
_LOOKING_UP = ("import_module", "__import__", "find_spec", "resolve_name")
_DOTTED = re.compile(rf"({'|'.join(ROOMS)})(\.\w+)+(:\w+)?")
_REFUSED = (  # folder or room → what its modules never import
    ("results", ("torch", "plotly", "streamlit")),
    ("figures", ("torch",)),
    ("arithmetic", ("torch", "plotly", "streamlit")),
)


class Edge(NamedTuple):
    """One import: how is "import" (when the module is), "lazy", "type" or "string"."""

    source: str
    target: str
    how: str
    line: int


class Violation(NamedTuple):
    """A rule, where it is broken, and how."""

    rule: str
    module: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.module}:{self.line} {self.text}"


class Foreign(NamedTuple):
    """An import of another distribution's package."""

    source: str
    package: str
    how: str
    line: int


class Lookup(NamedTuple):
    """A string, or an expression (module is None), that is turned into a module; whether it is
    seen to be, or only names one."""

    source: str
    module: str | None
    text: str
    line: int
    seen: bool


class Name(NamedTuple):
    """A name that a module binds by an import: `from source import name`."""

    module: str
    source: str
    name: str
    line: int


class House:
    """What the sources say: who imports what, looks up what, and where a hook is set."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.modules = frozenset(sources)
        parents = (name.rpartition(".")[0] for name in sources)
        self.faces = frozenset(parent for parent in parents if parent in sources)
        self.edges: list[Edge] = []
        self.foreign: list[Foreign] = []
        self.lookups: list[Lookup] = []
        self.hooks: list[Violation] = []
        self.names: list[Name] = []
        self.served: list[str] = []
        for module, source in sources.items():
            _Reader(self, module).visit(ast.parse(source, module))
        shadowed = {one.module for one in shadows(self)}  # there a string is the public name
        self.lookups = [one for one in self.lookups if one.seen or one.module not in shadowed]
        for found in self.lookups:
            if found.module is not None:
                self.edges.append(Edge(found.source, found.module, "string", found.line))

    @cached_property
    def eager(self) -> dict[str, list[str]]:
        """Module → what is imported as soon as it is."""
        found: dict[str, list[str]] = defaultdict(list)
        for edge in self.edges:
            if edge.how == "import":
                found[edge.source].append(edge.target)
        return found

    def package_of(self, module: str) -> str:
        """The package that relative imports of `module` start from."""
        return module if module in self.faces else module.rpartition(".")[0]

    def named_in(self, text: str) -> str | None:
        """The module that a dotted text names, or of which it names a part; None for a public name
        of a package, such as interp.attribution.counterfactual."""
        if not _DOTTED.fullmatch(text):
            return None
        path, _, part = text.partition(":")
        above = path.rpartition(".")[0]
        if path in self.modules:
            return path
        return above if above in self.modules - self.faces or part else None


class _Reader(ast.NodeVisitor):
    """Reads one module into a House."""

    def __init__(self, house: House, module: str) -> None:
        self.house, self.module, self.how = house, module, "import"

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            return self.generic_visit(node)
        self._within("type", node.body)
        for child in node.orelse:
            self.visit(child)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for child in (*node.decorator_list, node.args, *filter(None, [node.returns])):
            self.visit(child)
        self._within("lazy" if self.how == "import" else self.how, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._imported(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            above = self.house.package_of(self.module).split(".")
            above = above[: len(above) - node.level + 1]
            base = ".".join([*above, *filter(None, [base])])
        for alias in node.names:
            named = f"{base}.{alias.name}"
            self._imported(named if named in self.house.modules else base, node.lineno)
            bound = alias.asname or alias.name
            self.house.names.append(Name(self.module, base, bound, node.lineno))

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring looks nothing up
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            found = self.house.named_in(node.value)
            if found is not None:
                self._looked_up(found, repr(node.value), node.lineno, seen=False)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else None
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name in _LOOKING_UP and node.args:
            self._look_up(node)
        if name == "Entry" and self.module == CATALOGUE:
            self._served(node)
        if name == "getattr" and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            self._hooking(str(node.args[1].value), node.lineno)
        self.generic_visit(node)

    def _served(self, node: ast.Call) -> None:
        """The public name of an analysis; modules that are named by a string stand as they are."""
        for keyword in node.keywords:
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                name = str(keyword.value.value)
                self.house.served.append(
                    name if name.partition(".")[0] in ROOMS else f"interp.{name}"
                )

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._hooking(node.attr, node.lineno)
        self.generic_visit(node)

    def _hooking(self, name: str, line: int) -> None:
        if _HOOKING.fullmatch(name):
            self.house.hooks.append(Violation("hook", self.module, line, f"sets one by {name}"))

    def _within(self, how: str, body: Sequence[ast.stmt]) -> None:
        before, self.how = self.how, how
        for child in body:
            self.visit(child)
        self.how = before

    def _imported(self, name: str, line: int) -> None:
        if name.partition(".")[0] not in ROOMS:
            package = name.partition(".")[0]
            self.house.foreign.append(Foreign(self.module, package, self.how, line))
            return
        while name and name not in self.house.modules:
            name = name.rpartition(".")[0]
        if name and name != self.module:
            self.house.edges.append(Edge(self.module, name, self.how, line))

    def _look_up(self, node: ast.Call) -> None:
        """By a call; texts of other packages find nothing of ours."""
        first, text = node.args[0], ast.unparse(node.args[0])
        if not isinstance(first, ast.Constant):
            return self._looked_up(None, text, node.lineno)
        name = str(first.value)
        if name.startswith(".") or name.partition(".")[0] in ROOMS:
            module = name if name in ROOMS else self.house.named_in(name)
            self._looked_up(module, text, node.lineno)

    def _looked_up(self, module: str | None, text: str, line: int, *, seen: bool = True) -> None:
        self.house.lookups.append(Lookup(self.module, module, text, line, seen))


def floor(module: str) -> int | None:
    """On which floor a module stands, from 0; the library's face stands on that of `TOP`."""
    if module == "interp":
        return floor(TOP)
    for height, rooms in enumerate(FLOORS):
        if any(module == room or module.startswith(f"{room}.") for room in rooms):
            return height
    return None


def family(module: str) -> str | None:
    """The family of a module of `interp`, None outside of them."""
    parts = module.split(".")
    return parts[1] if parts[0] == "interp" and len(parts) > 1 and parts[1] in FAMILIES else None


def homeless(house: House) -> Iterator[Violation]:
    """Modules that stand on no floor."""
    for module in sorted(house.modules):
        if floor(module) is None:
            yield Violation("no floor", module, 1, "stands on no floor")


def upward(house: House) -> Iterator[Violation]:
    """Imports from a floor above."""
    for edge in _allowed_strings_out(house):
        own, other = floor(edge.source), floor(edge.target)
        if own is not None and other is not None and other > own:
            yield _at("upward", edge)


def between_families(house: House) -> Iterator[Violation]:
    """Imports of another family, planted models included."""
    for edge in _allowed_strings_out(house):
        own, other = family(edge.source), family(edge.target)
        if own and other and own != other:
            yield _at("family", edge)


def circles(house: House) -> Iterator[Violation]:
    """Modules that import each other in a circle, by imports of any kind; one entry a circle."""
    graph: dict[str, list[str]] = defaultdict(list)
    for edge in _allowed_strings_out(house):
        graph[edge.source].append(edge.target)
    for members in components(graph):
        way = " → ".join(shortest_circle(graph, members))
        yield Violation("circle", members[0], 1, f"{len(members)} modules, among them {way}")


def lookups(house: House) -> Iterator[Violation]:
    """Modules found by a string outside the catalogue; a face finds those of its own folder."""
    told = {(found.source, found.line) for found in house.lookups if found.seen}
    for found in house.lookups:
        if not found.seen and (found.source, found.line) in told:
            continue
        own = found.module is None or _handed_on(found.source, found.module)
        if found.source in (CATALOGUE, *READERS) or (found.source in house.faces and own):
            continue
        yield Violation("string", found.source, found.line, f"looks up {found.text}")


def faces(house: House) -> Iterator[Violation]:
    """Faces that import from elsewhere than their own folder."""
    for edge in house.edges:
        own = _handed_on(edge.source, edge.target) or edge.target == FACES
        if edge.source in house.faces and not own:
            yield _at("face", edge)


def own_faces(house: House) -> Iterator[Violation]:
    """Modules that import from the face of a package that they live in."""
    for edge in house.edges:
        if edge.target in house.faces and edge.source.startswith(f"{edge.target}."):
            yield _at("own face", edge)


def heavy(house: House) -> Iterator[Violation]:
    """Results that import torch, plotly or streamlit, figures and arithmetic that import torch; by
    themselves, or by what they import as soon as they are."""
    direct: dict[str, list[Foreign]] = defaultdict(list)
    for found in house.foreign:
        direct[found.source].append(found)
    for module in sorted(house.modules):
        refused = _refused_in(module, house)
        for found in direct[module]:
            if found.package in refused:
                yield Violation("heavy", module, found.line, f"imports {found.package}")
        for package, way in _reached(module, refused, house, direct).items():
            yield Violation("heavy", module, 1, f"brings in {package} by {' → '.join(way)}")


def hooks(house: House) -> Iterator[Violation]:
    """Hooks, and imports of TransformerLens, outside the models and the engine."""

    def hooking(module: str) -> bool:
        return module.startswith(("interp.models.", "interp.engine."))

    yield from (found for found in house.hooks if not hooking(found.module))
    for found in house.foreign:
        if found.package == "transformer_lens" and not hooking(found.source):
            yield Violation("hook", found.source, found.line, "imports transformer_lens")


def shadows(house: House) -> Iterator[Violation]:
    """Files that bear the name of what the face of their package hands on: by an import or its
    stub, or because the catalogue serves it there."""
    for found in house.names:
        file = f"{found.module}.{found.name}"
        if found.module in house.faces and file in house.modules and found.source != found.module:
            yield Violation("shadow", file, 1, f"is a file and a name of {found.module}")
    for file in house.served:
        if file in house.modules:
            yield Violation("shadow", file, 1, f"is a file and a name of the {CATALOGUE}")


RULES: tuple[Callable[[House], Iterator[Violation]], ...] = (
    homeless,
    upward,
    between_families,
    circles,
    lookups,
    faces,
    own_faces,
    heavy,
    hooks,
    shadows,
)


def violations(sources: Mapping[str, str]) -> list[Violation]:
    """Every breach of every rule, in the order of `RULES`."""
    house = House(sources)
    return [found for rule in RULES for found in dict.fromkeys(rule(house))]


def read_house(root: Path) -> dict[str, str]:
    """Module → source of every file of the product; a face with the stub beside it."""
    sources = {}
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            sources[name.removesuffix(".__init__")] = _source(path)
    return sources


def components(graph: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The circles of a graph: its strongly connected components of two and more, largest first."""
    reach = {node: _reachable(graph, node) for node in graph}
    left, found = set(graph), []
    for node in sorted(graph):
        if node in left and node in reach[node]:
            members = {other for other in reach[node] if node in reach.get(other, ())}
            left -= members
            found.append(sorted(members))
    return sorted(found, key=len, reverse=True)


def shortest_circle(graph: Mapping[str, Sequence[str]], members: Sequence[str]) -> list[str]:
    """A shortest way from a member back to itself, its first module at both ends."""
    ways = [_way(graph, member, {member}) for member in members]
    return min(ways, key=len)


def _way(graph: Mapping[str, Sequence[str]], start: str, ends: Iterable[str]) -> list[str]:
    """A shortest way of one step or more from `start` to one of `ends`; [] where there is none."""
    ends, before, edge = set(ends), {start: ""}, [start]
    while edge:
        following = []
        for node in edge:
            for target in graph.get(node, ()):
                if target in ends:
                    way = [target, node]
                    while way[-1] != start:
                        way.append(before[way[-1]])
                    return way[::-1]
                if target not in before:
                    before[target] = node
                    following.append(target)
        edge = following
    return []


def _reachable(graph: Mapping[str, Sequence[str]], start: str) -> set[str]:
    found: set[str] = set()
    edge = list(graph.get(start, ()))
    while edge:
        node = edge.pop()
        if node not in found:
            found.add(node)
            edge += graph.get(node, ())
    return found


def _reached(
    module: str, refused: Sequence[str], house: House, direct: Mapping[str, Sequence[Foreign]]
) -> dict[str, list[str]]:
    """Refused package → the way on which importing `module` brings it in, through others."""
    ways = {}
    for package in refused:
        bringing = {
            source
            for source, found in direct.items()
            if any(one.package == package and one.how == "import" for one in found)
        }
        way = _way(house.eager, module, bringing - {module})
        if way and module not in bringing:
            ways[package] = way
    return ways


def _refused_in(module: str, house: House) -> tuple[str, ...]:
    folders = module.split(".") if module in house.faces else module.split(".")[:-1]
    return next((packages for folder, packages in _REFUSED if folder in folders), ())


def _allowed_strings_out(house: House) -> Iterator[Edge]:
    """All edges but the catalogue's strings, which may point anywhere."""
    for edge in house.edges:
        if not (edge.source == CATALOGUE and edge.how == "string"):
            yield edge


def _handed_on(face: str, module: str) -> bool:
    """Whether a module lies in the folder of a face; of the library's, anywhere below it."""
    inside = module.removeprefix(f"{face}.")
    return inside != module and (face == "interp" or "." not in inside)


def _at(rule: str, edge: Edge) -> Violation:
    how = {"import": "imports", "lazy": "imports in a function", "type": "imports for its types"}
    return Violation(
        rule, edge.source, edge.line, f"{how.get(edge.how, 'names in a string')} {edge.target}"
    )


def _source(path: Path) -> str:
    stub = path.with_suffix(".pyi")
    more = stub.read_text(encoding="utf-8") if stub.is_file() else ""
    return f"{path.read_text(encoding='utf-8')}\n{more}"


def main(arguments: Sequence[str]) -> int:
    """Print how often each rule is broken, with --all where; 1 where one is."""
    found = violations(read_house(Path(__file__).resolve().parents[1]))
    if "--all" in arguments:
        print(*found, sep="\n")
    for rule, count in Counter(one.rule for one in found).items():
        print(f"{rule:10s} {count:5d}")
    print(f"{'together':10s} {len(found):5d}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
