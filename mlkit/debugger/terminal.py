"""The debugger in a terminal: a prompt at each stop."""

import cmd
from collections.abc import Sequence
from typing import Any, TextIO

import numpy as np

from mlkit.debugger.attached import AttachedDebugger
from mlkit.debugger.breakpoint import Breakpoint
from mlkit.debugger.debugger import Debugger
from mlkit.debugger.statistics import summary


class Prompt(cmd.Cmd):
    """Reads commands for a debugger until it is to go on.

    Attributes:
        goes_on: Whether training is to go on, once the prompt has been left.
    """

    prompt = "(mlkit) "
    doc_header = "Commands (a line that is empty repeats the last one):"

    def __init__(self, debugger: Debugger, stdin: TextIO | None = None, stdout: TextIO | None = None):
        super().__init__(stdin=stdin, stdout=stdout)
        self.use_rawinput = stdin is None
        self.debugger, self.goes_on = debugger, True

    def preloop(self) -> None:
        self._show()

    def onecmd(self, line: str) -> bool:
        try:
            return bool(super().onecmd(line))
        except (ValueError, RuntimeError, SyntaxError, NameError, TypeError) as error:
            self._say(f"*** {error}")
            return False

    def default(self, line: str) -> None:
        self._say(f"*** unknown command {line.split()[0]!r}; `help` lists them.")

    def do_step(self, count: str) -> None:
        """step [N]: run the next call, or N calls."""
        self.debugger.step(int(count or 1))
        self._show()

    def do_next(self, _: str) -> None:
        """next: run until another layer, or another part of the step."""
        self.debugger.next_layer()
        self._show()

    def do_to(self, name: str) -> None:
        """to NAME: run until a value or a layer is known."""
        self.debugger.go(name)
        self._show()

    def do_back(self, count: str) -> None:
        """back [N]: go back by a call, or by N."""
        self.debugger.back(int(count or 1))
        self._show()

    def do_continue(self, _: str) -> bool:
        """continue: go on to the next breakpoint."""
        return True

    def do_quit(self, _: str) -> bool:
        """quit: end training, with the weights from before this step."""
        self.goes_on = False
        return True

    do_EOF = do_quit

    def do_where(self, _: str) -> None:
        """where: show the calls around."""
        self._show()

    def do_value(self, name: str) -> None:
        """value NAME: show a value."""
        self._array(self.debugger.value(name))

    def do_gradient(self, name: str) -> None:
        """gradient NAME: show the gradient of the loss for a value."""
        found = self.debugger.gradient(name)
        self._say("the step has no gradient for it") if found is None else self._array(found)

    def do_set(self, line: str) -> None:
        """set NAME EXPRESSION: let a value be another; the expression is Python, with `np` and the old value as `x`."""
        name, _, text = line.partition(" ")
        self.debugger.set(name, eval(text, {"np": np, "x": self.debugger.value(name)}))
        self.do_value(name)

    def do_watch(self, name: str) -> None:
        """watch NAME: show a value at each stop."""
        self.debugger.watch(name)
        self._show()

    def do_break(self, line: str) -> None:
        """break [layer=PATTERN] [op=PATTERN] [phase=NAME] [when=nonfinite]: stop there too; without any, list the breakpoints."""
        if line:
            self.debugger.break_on(**fields_of(line.split()))
        for wanted in self.debugger.breakpoints:
            self._say(f"  {wanted}")

    def do_names(self, pattern: str) -> None:
        """names [PATTERN]: list the names of values."""
        self._say("\n".join(self.debugger.names(pattern or "*")))

    def _array(self, array: np.ndarray) -> None:
        self._say(summary(array))
        if array.ndim:
            self._say(np.array2string(array, threshold=40))

    def _show(self) -> None:
        self._say(repr(self.debugger))

    def _say(self, text: str) -> None:
        self.stdout.write(text + "\n")


class TerminalDebugger(AttachedDebugger):
    """Debugs a `fit` in the terminal: a prompt opens at each stop.

    Args:
        breakpoints: Where to stop.
        start: Whether to stop before the first call of the first step too.
        stdin, stdout: Text files in place of the terminal.
    """

    def __init__(
        self,
        breakpoints: Sequence[Breakpoint] = (),
        start: bool = False,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
    ):
        super().__init__(breakpoints, start)
        self.stdin, self.stdout = stdin, stdout

    def interact(self, debugger: Debugger) -> bool:
        prompt = Prompt(debugger, self.stdin, self.stdout)
        prompt.cmdloop()
        self.breakpoints = list(debugger.breakpoints)
        return prompt.goes_on


def fields_of(words: Sequence[str]) -> dict[str, Any]:
    """ "layer=PATTERN", "op=...", "phase=...", "when=nonfinite" as arguments of a `Breakpoint`."""
    fields = dict(word.partition("=")[::2] for word in words)
    unknown = sorted(set(fields) - {"layer", "op", "phase", "when"})
    if unknown:
        raise ValueError(f"break: expected layer=, op=, phase= or when=, but got {unknown[0]!r}.")
    return fields
