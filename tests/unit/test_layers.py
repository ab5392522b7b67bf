"""The shape of the code (ARCHITECTURE.md): who may import whom, and the one place of everything impure.

`violations` looks at the text of one module and knows nothing of the others, so that the rules can be tried
on snippets.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "xenlocal"

# layer -> layers it may import. A layer is the first name below `xenlocal`: a package, or a module beside them.
ALLOWED = {
    "__init__": set(),
    "__main__": {"cli"},
    "cli": {"arguments", "views", "inspection_views", "drawing", "app", "parts", "model"},
    "arguments": {"__init__", "model"},
    "views": {"model"},
    "inspection_views": {"views", "model"},
    "drawing": {"model"},
    "app": {
        "daemon",
        "rehearsal",
        "inspection",
        "offline",
        "parts",
        "adapters",
        "engine",
        "planner",
        "config",
        "model",
    },
    "offline": {"parts", "adapters", "config", "model"},
    "daemon": {"hosts", "parts", "adapters", "engine", "model"},
    "parts": {"hosts", "adapters", "engine", "model"},
    "hosts": {"adapters", "simulator", "engine", "model"},
    "inspection": {"hosts", "parts", "adapters", "engine", "planner", "model"},
    "rehearsal": {"stand_ins", "adapters", "simulator", "engine", "planner", "model"},
    "stand_ins": {"simulator", "engine", "planner", "model"},
    "adapters": {"engine", "planner", "config", "model"},
    "simulator": {"adapters", "engine", "planner", "config", "model"},
    "engine": {"planner", "config", "model"},
    "planner": {"model"},
    "config": {"model"},
    "model": set(),
}
# Where a layer may import only certain modules of another.
ONLY = {
    ("adapters", "engine"): {"xenlocal.engine.ports"},
    ("simulator", "engine"): {"xenlocal.engine.ports"},
}
PURE = {"model", "config", "planner", "views", "inspection_views", "drawing"}

# Libraries, and names of the standard library, that have one place: a module, or a whole package (with a final dot).
PLACE_OF_IMPORT = {
    "sh": ("adapters.command",),
    "subprocess": ("adapters.command",),
    "pyinotify": ("adapters.confdir",),
    "daemon": ("adapters.process",),
    "sqlite3": ("adapters.history",),
    "configobj": ("config.",),
    "rich": ("views",),
}
WALL_CLOCK = {
    "time.time",
    "time.time_ns",
    "time.localtime",
    "time.gmtime",
    "time.strftime",
    "time.ctime",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
CLOCK = {"time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.clock_gettime"}
FILES = {"open", "io.open", "os.open", "os.fdopen", "os.stat", "os.listdir", "os.scandir", "os.replace", "os.rename"}
# Of pathlib.Path; looked for only in modules that import pathlib, since other things have methods of these names.
PATH_METHODS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "touch", "mkdir", "unlink"}
# What a pure layer must not even import.
IMPURE_MODULES = {
    "os", "io", "pathlib", "shutil", "tempfile", "socket", "select", "selectors", "signal", "threading", "time",
    "random", "secrets", "logging", "multiprocessing", "asyncio", "concurrent.futures", "glob", "fcntl", "urllib",
}  # fmt: skip
# The only modules outside the adapters that keep files or read a clock, each with its reason.
FILE_PLACES = (
    "adapters.",
    "daemon",  # makes the directories
    "cli",  # points stdout at /dev/null when its reader has gone, and what was closed before
    "simulator.store",  # the state of --simulate, and the xl.cfg that `xl create` is handed
)
CLOCK_PLACES = ("adapters.",)
PROCESS_PLACES = (
    "adapters.command",
    "adapters.process",
    "app",  # `console` becomes `xl console`
)
SLEEP_PLACES = (
    "adapters.actuator",  # between two pings of the gateway, while the way back of a bridge is ticking
    "adapters.conffiles",  # a few times a moment, while an editor is writing
)


def layer_of(module: str) -> str:
    return module.split(".")[0]


def in_place(module: str, places: tuple[str, ...]) -> bool:
    return any(module.startswith(place) if place.endswith(".") else module == place for place in places)


def imports(tree: ast.AST, module: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported, under TYPE_CHECKING too; `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = ["xenlocal", *module.split(".")][: -node.level]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def _bound_names(tree: ast.AST) -> dict[str, str]:
    """Local name -> dotted name it was imported as."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def references(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every name and attribute read, with import aliases undone, whether called or not."""
    bound = _bound_names(tree)
    for node in ast.walk(tree):
        parts: list[str] = []
        at: ast.AST = node
        while isinstance(at, ast.Attribute):
            parts.append(at.attr)
            at = at.value
        if isinstance(at, ast.Name) and isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.lineno, ".".join([bound.get(at.id, at.id), *reversed(parts)])
        elif isinstance(node, ast.Attribute):
            yield node.lineno, f"?.{node.attr}"


def violations(module: str, text: str) -> list[str]:
    """What `text` does that the module `module` (dotted, without `xenlocal.`) may not."""
    tree = ast.parse(text)
    layer = layer_of(module)
    path_like = any(name.startswith("pathlib") for _, name in imports(tree, module))
    found = []

    for line, name in imports(tree, module):
        top = name.split(".")[0]
        if top == "xenlocal":
            target = [*name.split("."), "__init__"][1]
            if target not in ALLOWED:
                target = "__init__"  # a name of the package itself, as __version__
            if target != layer and target not in ALLOWED.get(layer, set()):
                found.append(f"{module}:{line}: {layer} imports {target}")
            only = ONLY.get((layer, target))
            if only and not any(name == one or name.startswith(one + ".") for one in only):
                found.append(f"{module}:{line}: {layer} imports {name}, of {target} only {', '.join(sorted(only))}")
        elif top in PLACE_OF_IMPORT and not in_place(module, PLACE_OF_IMPORT[top]):
            found.append(f"{module}:{line}: imports {top}, whose place is {' or '.join(PLACE_OF_IMPORT[top])}")
        elif layer in PURE and any(name == one or name.startswith(one + ".") for one in IMPURE_MODULES):
            found.append(f"{module}:{line}: {layer} is pure and imports {name}")

    for line, name in references(tree):
        if name == "time.sleep" and not in_place(module, SLEEP_PLACES):
            found.append(f"{module}:{line}: sleeps; wait on an event with a deadline instead")
        elif name in WALL_CLOCK | CLOCK and not in_place(module, CLOCK_PLACES):
            found.append(f"{module}:{line}: reads the clock with {name}; the clock comes through a port")
        elif (
            name in FILES or (path_like and "." in name and name.rsplit(".", 1)[-1] in PATH_METHODS)
        ) and not in_place(module, FILE_PLACES):
            found.append(f"{module}:{line}: touches files with {name}; files have their place in the adapters")
        elif name in ("os.system", "os.popen", "os.fork", "os.execv", "os.execvp", "os.execve", "os.posix_spawn"):
            if not in_place(module, PROCESS_PLACES):
                found.append(f"{module}:{line}: starts a process with {name}; commands go through adapters.command")
    return sorted(set(found))


def all_modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


MODULES = all_modules()


@pytest.mark.parametrize("module", MODULES)
def test_module_keeps_to_its_layer(module: str) -> None:
    name = module if module in ALLOWED or "." in module else f"{module}.__init__"
    assert violations(name, MODULES[module].read_text("utf-8")) == []


def test_every_layer_is_known() -> None:
    assert {layer_of(module) for module in MODULES} <= set(ALLOWED)


@pytest.mark.parametrize(
    ("module", "snippet", "complaint"),
    [
        ("engine.loop", "from xenlocal.adapters.xl import Xl", "engine imports adapters"),
        ("engine.loop", "def f():\n    from xenlocal.adapters import xl", "engine imports adapters"),
        ("engine.loop", "from ..adapters import xl", "engine imports adapters"),
        ("engine.loop", "import xenlocal.app", "engine imports app"),
        ("engine.loop", "import pathlib\npathlib.Path('/x').read_text()", "touches files"),
        ("planner.domains", "from xenlocal.config import schema", "planner imports config"),
        ("planner.domains", "from xenlocal.engine import ports", "planner imports engine"),
        ("planner.domains", "import time", "is pure and imports time"),
        ("model.plan", "from xenlocal.planner import plan", "model imports planner"),
        ("model.plan", "from pathlib import Path", "is pure and imports pathlib.Path"),
        ("config.values", "open('/etc/xenlocal/a.conf')", "touches files with open"),
        ("adapters.xl", "from xenlocal.engine.loop import Loop", "of engine only xenlocal.engine.ports"),
        ("adapters.xl", "from xenlocal.simulator import host", "adapters imports simulator"),
        ("adapters.xl", "import sh", "imports sh"),
        ("adapters.xl", "from sh import xl", "imports sh"),
        ("adapters.lvm", "import subprocess as s", "imports subprocess"),
        ("adapters.lvm", "import pyinotify", "imports pyinotify"),
        ("adapters.lvm", "import daemon.daemon", "imports daemon"),
        ("adapters.lvm", "import sqlite3", "imports sqlite3"),
        ("adapters.lvm", "from configobj import ConfigObj", "imports configobj"),
        ("adapters.lvm", "import os\nos.system('lvs')", "starts a process"),
        ("adapters.lvm", "import time\ntime.sleep(1)", "sleeps"),
        ("adapters.lvm", "from time import sleep as nap\nnap(1)", "sleeps"),
        ("engine.loop", "import time\nx = time.time()", "reads the clock with time.time"),
        ("engine.loop", "from time import monotonic\nmonotonic()", "reads the clock"),
        ("engine.loop", "import datetime as d\nd.datetime.now()", "reads the clock"),
        ("engine.loop", "from datetime import datetime\nf = datetime.now", "reads the clock"),
        ("cli", "from xenlocal.simulator import host", "cli imports simulator"),
        ("cli", "from xenlocal.planner import make_plan", "cli imports planner"),
        ("views", "import time", "is pure and imports time"),
        ("drawing.svg", "from xenlocal.planner.plot import Plot", "drawing imports planner"),
        ("offline", "from xenlocal import hosts", "offline imports hosts"),
        ("simulator.host", "from xenlocal.engine.loop import Loop", "of engine only xenlocal.engine.ports"),
    ],
)
def test_a_planted_violation_is_found(module: str, snippet: str, complaint: str) -> None:
    assert complaint in "\n".join(violations(module, snippet))


@pytest.mark.parametrize(
    ("module", "snippet"),
    [
        ("engine.loop", "from xenlocal.planner import make_plan\nfrom xenlocal.engine import ports"),
        ("adapters.xl", "from xenlocal.engine.ports import LastWords\nfrom xenlocal.adapters.command import run"),
        ("adapters.command", "import sh, subprocess, time\ntime.monotonic()\nopen('/dev/null')"),
        ("config.parse", "import configobj\nfrom xenlocal.model.conffiles import Problem"),
        (
            "app",
            "from xenlocal.parts import Parts\nfrom xenlocal.adapters import xl\nfrom xenlocal import rehearsal",
        ),
        ("planner.domains", "def f(domain):\n    return domain.open, 'open'"),
        ("simulator.xl", "def f(dom0):\n    return dom0.read_text('/etc/xen/web.cfg')"),
    ],
)
def test_what_is_allowed_is_not_complained_about(module: str, snippet: str) -> None:
    assert violations(module, snippet) == []
