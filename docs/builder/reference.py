"""The pages of the reference: one for each namespace, or for each of its modules where a namespace is large."""

import inspect
import pathlib
import sys
from collections import defaultdict

from docs.builder.names import Described, described, namespaces

LARGE = 15  # names; what has more is spread over several pages
FEW = 3  # names; modules with fewer share pages
SHARED = 12  # names on one of these


def write(folder: pathlib.Path) -> None:
    """Write all pages into `folder`, and remove what earlier runs left there."""
    spaces = defaultdict(list)
    for thing in described():
        spaces[thing.namespace].append(thing)
    pages = {}
    for space in namespaces():
        pages |= _pages(space, spaces.get(space, []))
    pages["index"] = _index(spaces)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.name.removesuffix(".md") not in pages:
            old.unlink()
    for name, text in pages.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text() != text:  # Sphinx reads again what is newer
            file.write_text(text)


def _pages(space: str, things: list[Described]) -> dict[str, str]:
    """name of a page -> its text, of one namespace."""
    if not things:
        return {}
    title = f"mlkit.{space}" if space else "mlkit"
    about = _summary(sys.modules[title].__doc__) if title in sys.modules else ""
    if len(things) <= LARGE:
        return {title: f"# {title}\n\n{about}\n\n{_entries(things)}"}
    by_module = defaultdict(list)
    for thing in things:
        by_module[thing.module].append(thing)
    parts, others = {}, []
    for module, own in sorted(by_module.items()):
        if len(own) < FEW:
            others += own
            continue
        part = module.removeprefix("mlkit.").rpartition(".")[2]
        said = _summary(sys.modules[module].__doc__).rstrip(".")
        head, _, rest = said.partition(": ")
        parts[f"{title}-{part.replace('_', '-')}"] = f"# {title}: {head}\n\n{rest}\n\n{_entries(own)}"
    count = -(-len(others) // SHARED)
    for number in range(count):
        own = others[number * len(others) // count : (number + 1) * len(others) // count]
        which = f"-{number + 1}" if count > 1 else ""
        parts[f"{title}-others{which}"] = f"# {title}: others{which.replace('-', ', ')}\n\n{_entries(own)}"
    listed = "\n".join(parts)
    table = "\n".join(f"| {_link(t)} | {_first_words(t.value)} |" for t in things)
    return {
        title: f"# {title}\n\n{about}\n\n| name | |\n| --- | --- |\n{table}\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n",
        **parts,
    }


def _index(spaces: dict[str, list[Described]]) -> str:
    titles = [f"mlkit.{s}" if s else "mlkit" for s in namespaces() if spaces.get(s)]
    rows = "\n".join(f"| [{t}]({t}.md) | {_summary(sys.modules[t].__doc__) if t in sys.modules else ''} |" for t in titles)
    also = "\n".join(
        f"| `mlkit.{a}` | {_link(t)} |"
        for t in sorted((t for s in spaces.values() for t in s), key=lambda t: t.path.lower())
        for a in t.aliases
    )
    tree = "\n".join(titles)
    return (
        "# Reference\n\nEvery public name, from its docstring. What follows Keras has Keras's names, arguments and defaults; "
        "what differs stands in [](../keras_differences.md).\n\n"
        f"| namespace | |\n| --- | --- |\n{rows}\n\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n\n"
        f"## Second names\n\nThe same objects under other names, most of them Keras's.\n\n| name | is |\n| --- | --- |\n{also}\n"
    )


def _entries(things: list[Described]) -> str:
    return "".join(_entry(t) for t in things)


def _entry(thing: Described) -> str:
    kind = "autoclass" if inspect.isclass(thing.value) else "autofunction"
    options = "   :members:\n   :exclude-members: get_config, from_config, build, call\n" if kind == "autoclass" else ""
    also = f"\n   Also ``mlkit.{'``, ``mlkit.'.join(thing.aliases)}``.\n" if thing.aliases else ""
    return f"```{{eval-rst}}\n.. {kind}:: mlkit.{thing.path}\n{options}{also}```\n\n"


def _link(thing: Described) -> str:
    return f"{{py:obj}}`mlkit.{thing.path}`"


def _first_words(value: object) -> str:
    return _summary(inspect.unwrap(value).__doc__).replace("|", r"\|")


def _summary(docstring: str | None) -> str:
    """The first paragraph of a docstring in one line."""
    return " ".join(inspect.cleandoc(docstring or "").partition("\n\n")[0].split())
