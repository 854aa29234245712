"""The rules of the house: who may import whom, one import root, small modules, nothing printed.

Every rule reads the syntax tree of every module, imports inside functions included, and answers the offences
as `path:line: what`. Each is tried on a planted offence as well.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "flywheel": set(),
    "nemo": set(),
    "nemo_local": set(),
    "instrument": set(),
    # Configuration files of other programs, and no code that imports ours.
    "exporters": set(),
    "airflow_nemo": {"nemo"},
    "stores": {"flywheel", "nemo"},
    "pipeline": {"stores", "airflow_nemo", "flywheel", "nemo"},
    "web": {"stores", "flywheel"},
    "cli": {"stores", "flywheel", "local_stack"},
    # Starts nemo_local as a process and imports nothing of it.
    "local_stack": set(),
    # A DAG file asks which workloads there are, and has the pipeline build their DAGs.
    "dags": {"pipeline"},
    "plugins": {"web", "pipeline"},
}
FRAMEWORKS = {"airflow", "fastapi", "starlette"}
KEPT_OUT = {
    "flywheel": FRAMEWORKS,
    "nemo": FRAMEWORKS,
    "instrument": FRAMEWORKS,
    "nemo_local": {"airflow"},
    "cli": {"fastapi", "starlette"},
}
# What the SDK lacks: each import in one place.
BESIDES_THE_SDK = {
    ("include/pipeline/factory.py", "airflow.timetables"),
    ("include/pipeline/listener.py", "airflow.listeners"),
    ("include/pipeline/stage_trigger.py", "airflow.triggers.base"),
    ("include/pipeline/shared_trigger.py", "airflow.triggers.base"),
    ("include/pipeline/likeness.py", "airflow.triggers.base"),
    ("include/pipeline/lease_sensor.py", "airflow.triggers.base"),
}
MAY_PRINT = {"cli", "local_stack"}
MODULE_LINES = 300
FUNCTION_LINES = 40


@dataclass(frozen=True)
class Module:
    """One file below include/, dags/ or plugins/."""

    path: str
    text: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """`flywheel` for include/flywheel/…, `dags` for dags/…"""
        first, *rest = self.path.split("/")
        return rest[0] if first == "include" else first

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Every absolute import as `package.module.name`, wherever it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__", "find_spec"}:
                yield from ((node, one.value) for one in node.args[:1] if isinstance(one, ast.Constant))


def _called(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


@cache
def modules(root: Path) -> list[Module]:
    files = [path for part in ("include", "dags", "plugins") for path in sorted((root / part).rglob("*.py"))]
    texts = [(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")) for path in files]
    return [
        Module(path, text, ast.parse(text, path)) for path, text in texts if path != "include/__init__.py"
    ]


def _is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def strangers(root: Path) -> list[str]:
    """Imports of a part of the house that this part may not know."""
    offences = []
    for module in modules(root):
        if module.part not in MAY_IMPORT:
            offences.append(f"{module.path}:1: no rule says whom {module.part!r} may import: add one")
            continue
        for node, name in module.imports():
            if _is_below(name, "include"):
                other = [*name.split("."), ""][1]
                if other != module.part and other not in MAY_IMPORT[module.part]:
                    offences.append(module.at(node, f"{module.part} may not import {name}"))
    return offences


def frameworks(root: Path) -> list[str]:
    """Airflow and web frameworks where the domain must not know them."""
    return [
        module.at(node, f"{module.part} may not import {name}")
        for module in modules(root)
        for node, name in module.imports()
        if name.split(".")[0] in KEPT_OUT.get(module.part, set())
    ]


def beside_the_sdk(root: Path) -> list[str]:
    """In dags/ and pipeline/, imports of Airflow that are not `airflow.sdk`."""
    return [
        module.at(node, f"{name} is not of airflow.sdk")
        for module in modules(root)
        if module.part in {"dags", "pipeline"}
        for node, name in module.imports()
        if _is_below(name, "airflow") and not _is_below(name, "airflow.sdk")
        if not any(module.path == path and _is_below(name, besides) for path, besides in BESIDES_THE_SDK)
    ]


def around_the_door(root: Path) -> list[str]:
    """In web/, imports of Airflow outside the one module that knows who may do what."""
    return [
        module.at(node, f"{name}: ask include.web.access")
        for module in modules(root)
        if module.part == "web" and module.path != "include/web/access.py"
        for node, name in module.imports()
        if _is_below(name, "airflow")
    ]


def second_roots(root: Path) -> list[str]:
    """Imports that do not start at `include.`, which would load a class twice."""
    offences = []
    for module in modules(root):
        for node, name in module.imports():
            first = name.split(".")[0]
            if first in {"dags", "plugins", "tests"}:
                offences.append(module.at(node, f"nothing imports from {first}/: {name}"))
            elif first in MAY_IMPORT:
                offences.append(module.at(node, f"{name}: write include.{name}"))
        if module.part != "instrument":
            relative = [n for n in ast.walk(module.tree) if isinstance(n, ast.ImportFrom) and n.level]
            offences += [module.at(node, "relative import: start at `include.`") for node in relative]
    return offences


def hidden_plugins(root: Path) -> list[str]:
    """Plugin files whose bare name, under which Airflow registers them, belongs to somebody else."""
    taken = {*MAY_IMPORT, "include"}
    return [
        f"plugins/{path.name}:1: Airflow registers it as {path.stem!r}, which is taken"
        for path in sorted((root / "plugins").glob("*.py"))
        if path.stem in taken
    ]


def not_packages(root: Path) -> list[str]:
    """Folders of modules without `__init__.py`."""
    folders = {path.parent for path in (root / "include").rglob("*.py")}
    return [
        f"{folder.relative_to(root).as_posix()}: no __init__.py"
        for folder in sorted(folders)
        if not (folder / "__init__.py").exists()
    ]


def printing(root: Path) -> list[str]:
    """`print` outside the command line."""
    return [
        module.at(node, "print: use a logger")
        for module in modules(root)
        if module.part not in MAY_PRINT and not module.path.endswith("__main__.py")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def long_modules(root: Path) -> list[str]:
    """Modules of 300 lines and more."""
    counted = [(module, len(module.text.splitlines())) for module in modules(root)]
    return [f"{module.path}:1: {lines} lines" for module, lines in counted if lines >= MODULE_LINES]


def long_functions(root: Path) -> list[str]:
    """Functions with 40 lines and more after their docstring."""
    return [
        module.at(node, f"{node.name} has {_body_lines(node)} lines")
        for module in modules(root)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _body_lines(node) >= FUNCTION_LINES
    ]


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


RULES = [
    strangers,
    frameworks,
    beside_the_sdk,
    around_the_door,
    second_roots,
    hidden_plugins,
    not_packages,
    printing,
    long_modules,
    long_functions,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule: Callable[[Path], list[str]]) -> None:
    assert rule(ROOT) == []


def test_the_rules_see_the_house() -> None:
    seen = {module.part for module in modules(ROOT)}
    assert seen >= {
        "flywheel",
        "nemo",
        "nemo_local",
        "airflow_nemo",
        "stores",
        "pipeline",
        "cli",
        "dags",
        "plugins",
        "web",
    }


LONG_FUNCTION = 'def f():\n    """Doc."""\n' + "    x = 1\n" * 40
PLANTED = [
    (strangers, "include/flywheel/a.py", "def f():\n    from include.stores.logs import open_logs\n", ":2:"),
    (strangers, "include/flywheel/a.py", "from include import nemo", "include.nemo"),
    (strangers, "include/nemo/a.py", "import include.flywheel.errors", "include.flywheel"),
    (strangers, "include/nemo_local/a.py", "from include.nemo.client import Client", "include.nemo"),
    (strangers, "include/airflow_nemo/a.py", "from include.flywheel import errors", "include.flywheel"),
    (strangers, "include/stores/a.py", "from include.pipeline.run import Run", "include.pipeline"),
    (strangers, "include/pipeline/a.py", "from include.local_stack import stack", "include.local_stack"),
    (strangers, "include/cli/a.py", "from include.pipeline import tasks", "include.pipeline"),
    (strangers, "include/local_stack/a.py", "import_module('include.nemo_local.app')", "include.nemo_local"),
    (strangers, "dags/a.py", "from include.stores.runs import open_runs", "include.stores"),
    (strangers, "plugins/a.py", "from include.stores.runs import open_runs", "include.stores"),
    (strangers, "include/novelty/a.py", "", "no rule"),
    (frameworks, "include/flywheel/a.py", "if True:\n    from airflow.sdk import Variable\n", ":2:"),
    (frameworks, "include/nemo/a.py", "import fastapi", "fastapi"),
    (frameworks, "include/nemo_local/a.py", "import airflow", "airflow"),
    (beside_the_sdk, "include/pipeline/a.py", "from airflow.models import DagRun", "airflow.models"),
    (beside_the_sdk, "include/pipeline/listener.py", "from airflow.utils import db", "airflow.utils"),
    (beside_the_sdk, "include/pipeline/a.py", "from airflow.listeners import hookimpl", "airflow.listeners"),
    (beside_the_sdk, "dags/a.py", "from airflow import DAG", "airflow.DAG"),
    (around_the_door, "include/web/a.py", "from airflow.api_fastapi.app import cached_app", "airflow.api"),
    (second_roots, "include/cli/a.py", "from flywheel.errors import ConfigError", "include.flywheel"),
    (second_roots, "include/cli/a.py", "from dags.flywheel import dag", "dags/"),
    (second_roots, "include/cli/a.py", "from . import logs", "relative"),
    (hidden_plugins, "plugins/flywheel.py", "", "flywheel.py"),
    (not_packages, "include/flywheel/deep/a.py", "", "include/flywheel/deep"),
    (printing, "include/flywheel/a.py", "print(1)", ":1:"),
    (long_modules, "include/flywheel/a.py", "x = 1\n" * 300, "300 lines"),
    (long_functions, "include/flywheel/a.py", LONG_FUNCTION, "f has 40 lines"),
    (long_functions, "include/flywheel/a.py", LONG_FUNCTION.replace("def", "async def"), "f has 40"),
]


@pytest.mark.parametrize(("rule", "path", "text", "said"), PLANTED)
def test_a_planted_offence_is_found(
    rule: Callable[[Path], list[str]], path: str, text: str, said: str, tmp_path: Path
) -> None:
    planted = tmp_path / path
    planted.parent.mkdir(parents=True)
    planted.write_text(text)
    [offence] = rule(tmp_path)
    assert offence.startswith((path, f"{Path(path).parent.as_posix()}:"))
    assert said in offence


INNOCENT = {
    "include/pipeline/factory.py": "from airflow.timetables.trigger import CronTriggerTimetable",
    "include/pipeline/a.py": "from include.nemo import evaluator\nfrom airflow.sdk.exceptions import E",
    "include/cli/a.py": "from include.stores.runs import open_runs\nprint(1)",
    "include/nemo_local/a.py": "from fastapi import FastAPI\nfrom include.nemo_local.store import Store",
    "include/flywheel/a.py": LONG_FUNCTION.rstrip("\n").removesuffix("    x = 1"),
    "dags/a.py": "from include.pipeline.factory import flywheel_dag",
    "include/web/access.py": "from airflow.api_fastapi.app import get_auth_manager",
}


def test_what_is_allowed_is_no_offence(tmp_path: Path) -> None:
    for path, text in INNOCENT.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        (file.parent / "__init__.py").touch()
    assert [offence for rule in RULES for offence in rule(tmp_path)] == []
