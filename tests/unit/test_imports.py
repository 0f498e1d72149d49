"""The rules of dependency: who may import whom."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SLUGS = "overview backbone aifi ccff query_selection decoder deformable_attention denoising".split()
BASE = "errors printable writing "
BELOW_APP = "detector loading device boxes data model weights tracing drawing illustrations formulas experiments "
ALLOWED = {  # room: rooms it may import, next to itself; the longest room that fits counts
    "errors": "printable",
    "printable": "",
    "writing": "",
    "boxes": "",
    "device": BASE,
    "model": BASE,
    "weights": BASE + "model",
    "data": BASE + "model.class_names boxes",
    "drawing": BASE + "boxes",
    "tracing": BASE + "model data.images boxes",
    "detector": BASE + "tracing weights model data device",
    "loading": BASE + "detector tracing weights model data device",
    "illustrations": BASE + "tracing drawing boxes model.config",
    "formulas": BASE + "illustrations drawing tracing boxes model.config",
    "evaluation": BASE + "data model weights drawing boxes",
    "training": BASE + "data model weights drawing boxes evaluation device loading",
    "experiments": BASE + "data model weights drawing boxes evaluation device loading training",
    "commands": BASE + BELOW_APP + "evaluation training app.shell",
    "cli": BASE + "commands",
    "app.session": BASE + BELOW_APP,
    "app.widgets": BASE + BELOW_APP + "app.session",
    "app.components": BASE + BELOW_APP + "app.session",
    "app.panels": BASE + BELOW_APP + "app.session app.widgets app.components",
    "app.depths": BASE + BELOW_APP + "app.session app.widgets app.components",
    "app.sidebar": BASE + BELOW_APP + "app.session app.widgets app.components",
    "app.stages": BASE + BELOW_APP + "app.session app.widgets app.components app.panels app.depths",
    "app.shell": BASE + BELOW_APP + "app.session app.widgets app.components app.sidebar app.stages",
}
FORBIDDEN = {  # packages that a room must not load, directly or through what it imports when it is itself imported
    "drawing": "torch streamlit",
    "boxes": "torch matplotlib plotly PIL",
    "cli": "torch streamlit matplotlib plotly",
    "data": "torch streamlit matplotlib plotly",
    "weights": "streamlit matplotlib plotly",
    "tracing": "streamlit matplotlib plotly",
    "illustrations": "torch streamlit",
    "formulas": "torch streamlit",
    "app": "torch",
    **dict.fromkeys((f"tracing.{m}" for m in "trace choice sites edits storage results".split()), "torch"),
}
RENDERERS = ("drawing.to_plotly", "drawing.to_matplotlib", "plotly", "matplotlib")
CIRCLES = {frozenset({"tracing.trace", "tracing.storage", "tracing.checking"})}  # lazy: trace.save(), Trace.load()


def name_of(path: Path) -> str:
    """Module name; that of the library without `rtdetr_explained.` in front."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[parts[0] == "rtdetr_explained" : len(parts) - (parts[-1] == "__init__")])


FILES = [*(ROOT / "rtdetr_explained").rglob("*.py"), *(ROOT / "app").rglob("*.py")]
MODULES = {name_of(path): path for path in FILES if "_app" not in path.parts}


def imports(node: ast.AST, lazy: bool) -> Iterator[str]:
    """What a module imports: when it is loaded, or with `lazy` also later and for its types."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "imports are written out in full"
            module = child.module or ""
            inside = {f"{module}.{alias.name}" for alias in child.names}
            known = {name for name in inside if name.removeprefix("rtdetr_explained.") in MODULES}
            yield from known | ({module} if known != inside else set())
        elif lazy or not (isinstance(child, ast.FunctionDef) or is_for_types(child)):
            yield from imports(child, lazy)


def is_for_types(node: ast.AST) -> bool:
    """Whether this is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def arrows(module: str, lazy: bool = True) -> frozenset[str]:
    """Names of modules, and of packages of others, that a module imports."""
    found = imports(ast.parse(MODULES[module].read_text("utf-8")), lazy)
    return frozenset(name.removeprefix("rtdetr_explained").removeprefix(".") for name in found) - {module}


@cache
def reached(module: str, lazy: bool = False) -> frozenset[str]:
    """All that is loaded with a module; with `lazy` all that its code can lead to."""
    seen, waiting = set(), sorted(arrows(module, lazy))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            if name in MODULES:
                parents = [] if lazy else [name[:i] for i, letter in enumerate(name) if letter == "."]
                waiting += [*parents, *arrows(name, lazy)]
    return frozenset(seen)


def within(name: str, rooms: str) -> str:
    """The longest of these rooms that a module belongs to, or "" for none."""
    return max((room for room in rooms.split() if f"{name}.".startswith(f"{room}.")), key=len, default="")


def violations() -> Iterator[tuple[str, str]]:
    """Every arrow that breaks a rule."""
    for module in MODULES:
        room = within(module, " ".join(ALLOWED))
        parts = module.split(".")
        for other in arrows(module):
            renders = within(other, " ".join(RENDERERS))
            if other and other in MODULES and room and not within(other, f"{room} {ALLOWED[room]}"):
                yield module, other
            elif parts[0] == "illustrations" and (renders or other.startswith("illustrations.")):
                there = other.split(".")[1:2]
                foreign = there != parts[1:2] and {*there, *parts[1:2]} <= set(SLUGS)
                upwards = other.endswith("figure") and parts[1] in SLUGS and not module.endswith("figure")
                if foreign or upwards or renders:
                    yield module, other
        for rule in FORBIDDEN:
            for package in FORBIDDEN[rule].split():
                if within(module, rule) and any(within(name, package) for name in reached(module)):
                    yield module, package


def test_nothing_breaks_a_rule() -> None:
    assert sorted(f"{module} imports {other}" for module, other in violations()) == []


def test_imports_go_in_no_circle() -> None:
    inside = {m: reached(m, lazy=True) for m in MODULES}
    circles = {frozenset(o for o in inside[m] if o in MODULES and m in inside[o]) for m in MODULES} - {frozenset()}
    assert [sorted(circle) for circle in circles - CIRCLES] == [], "these import one another"


def test_every_module_has_a_room() -> None:
    assert [module for module in MODULES if not within(module, " ".join(ALLOWED))] == ["", "app"]
