"""Writes the stubs of packages that make their names at run time, so that editors and type checkers know them too.

    python .ci/stubs.py           writes them, and removes those that nothing needs any more
    python .ci/stubs.py --check   says which are not what it would write

A stub shows each public name from the module that defines it; what the package itself defines is copied without its body.
"""

import ast
import importlib
import inspect
import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = {"mlkit": ROOT / "mlkit", "mlkit.backends": ROOT / "backends", "mlkit.applications": ROOT / "applications"}
HEAD = "# Written by .ci/stubs.py: run it after a change of what this module offers.\n"


def sources():
    """(name of a module, its file) for all of them."""
    for package, folder in FOLDERS.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *(p for p in parts if p != "__init__"))), file


def makes_names(name, tree):
    """Whether a module offers names that reading it does not show."""
    if not any(isinstance(n, ast.Name) and n.id in ("offer", "globals", "__getattr__") for n in ast.walk(tree)) and not any(
        isinstance(s, ast.FunctionDef) and s.name == "__getattr__" for s in tree.body
    ):
        return False  # without an import, which takes time
    shown = set()
    for s in tree.body:
        if isinstance(s, (ast.FunctionDef, ast.ClassDef)):
            shown.add(s.name)
        elif isinstance(s, (ast.Import, ast.ImportFrom)):
            shown |= {alias.asname or alias.name for alias in s.names}
        elif isinstance(s, ast.Assign):
            shown |= {n.id for target in s.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return not shown.issuperset(importlib.import_module(name).__all__)


def stub(name, tree):
    """The text of a module's stub."""
    module = importlib.import_module(name)
    own = {s.name: s for s in tree.body if isinstance(s, (ast.FunctionDef, ast.ClassDef))}
    public = {n for n in [*module.__all__, *own] if n[0] != "_"} | _namespaces(module) | ({"__version__"} & vars(module).keys())
    imports, declared = set(), []
    for n in sorted(public):
        value = getattr(module, n)
        if n in own:
            declared.append(_without_body(own[n]))
            imports |= _imports_of(own[n], tree)
        elif inspect.ismodule(value):
            package, _, last = value.__name__.rpartition(".")
            imports.add(f"from {package} import {last} as {n}")
        elif home := _home(n, value, name):
            imports.add(f"from {home[0]} import {home[1]} as {n}")
        else:
            declared.append(f"{n}: {type(value).__name__}")
    return HEAD + "\n" + "".join(f"{line}\n" for line in (*sorted(imports), *([""] if declared else []), *declared))


def _namespaces(module):
    """The packages within one that it has as attributes and that offer something, where it does not list them: `ops.nn`. The root
    lists its own."""
    if any(inspect.ismodule(getattr(module, n)) for n in module.__all__):
        return set()
    within = f"{module.__name__}."
    return {
        n for n, v in vars(module).items()
        if n[0] != "_" and inspect.ismodule(v) and v.__name__.startswith(within) and hasattr(v, "__path__") and hasattr(v, "__all__")
    }  # fmt: skip


def _home(name, value, asked):
    """(module, name there) of what defines a class or function, or None for another value."""
    if not isinstance(value, (type, types.FunctionType)):
        return None
    value = inspect.unwrap(value)
    module = sys.modules[value.__module__]
    for n in (name, value.__qualname__):
        if module.__name__ != asked and inspect.unwrap(vars(module).get(n, module)) is value:
            return module.__name__, n
    raise LookupError(f"{asked}.{name}: {module.__name__} has no name for it")


def _without_body(statement):
    """A function's or class's declaration: its signature, or those of its public methods."""
    if isinstance(statement, ast.FunctionDef):
        head = ast.FunctionDef(statement.name, statement.args, [ast.Expr(ast.Constant(...))], [], statement.returns, lineno=0)
        return ast.unparse(head).replace(":\n    ...", ": ...")
    methods = [ast.parse(_without_body(s)).body[0] for s in statement.body if isinstance(s, ast.FunctionDef)]
    return ast.unparse(ast.ClassDef(statement.name, statement.bases, [], methods or [ast.Expr(ast.Constant(...))], []))


def _imports_of(statement, tree):
    """The lines of the module that bring what a declaration's signature names."""
    used = {n.id for n in ast.walk(ast.parse(_without_body(statement))) if isinstance(n, ast.Name)}
    found = set()
    for s in tree.body:
        if isinstance(s, (ast.Import, ast.ImportFrom)):
            for alias in s.names:
                if (alias.asname or alias.name.partition(".")[0]) in used:
                    whole = alias.name + (f" as {alias.asname}" if alias.asname else "")
                    found.add(f"from {s.module} import {whole}" if isinstance(s, ast.ImportFrom) else f"import {whole}")
    return found


def stubs():
    """file -> text, of all stubs that there should be."""
    found = {}
    for name, file in sources():
        tree = ast.parse(file.read_text())
        if file.name != "__main__.py" and makes_names(name, tree):
            found[file.with_suffix(".pyi")] = stub(name, tree)
    return found


def differing(wanted):
    """The files that are not what they should be: changed, missing, or too many."""
    there = {f for folder in FOLDERS.values() for f in folder.rglob("*.pyi")}
    return sorted(f for f in there | wanted.keys() if not f.exists() or f.read_text() != wanted.get(f))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    wanted = stubs()
    wrong = differing(wanted)
    if "--check" in sys.argv:
        sys.exit("run `python .ci/stubs.py`, these stubs are not what it writes: " + " ".join(map(str, wrong)) if wrong else 0)
    for file in wrong:
        if file in wanted:
            file.write_text(wanted[file])
        else:
            file.unlink()
        print(file.relative_to(ROOT))
