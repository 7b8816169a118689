"""Pickles read without Python's pickle machine: the data in them are rebuilt, and nothing in them can be called.

The format is a program for a stack machine; `pickletools` documents its operations. Those that data consist of are carried out
here; an object is made only by the functions that the caller passes, by name.
"""

import pickletools
from typing import IO

from mlkit.core.messages import inside

MAX_OPERATIONS = 1_000_000
_MARK = object()
_LITERALS = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINFLOAT",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINSTRING",
    "SHORT_BINSTRING",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class PickleError(ValueError):
    """A pickle is damaged, or asks for something that is not admitted."""


def load_pickle(file: IO[bytes], makers, persistent=None):
    """The object that the next pickle in a binary file describes.

    makers: "module.name" -> function that stands for the callable of that name. persistent: function of the tuples by which the
    pickle refers to things outside of it.

    Raises PickleError for any other name or operation, and for damage.
    """
    machine = _Machine(makers, persistent)
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if count > MAX_OPERATIONS:
                raise PickleError(f"its pickle has more than {MAX_OPERATIONS:,} operations.")
            if operation.name == "STOP":
                return machine.stack.pop()
            machine.run(operation.name, argument)
    except PickleError:
        raise
    except Exception as error:
        raise PickleError(f"its pickle is damaged: {type(error).__name__}: {inside(error)}.") from error


class _Machine:
    """Stack and memo of a pickle that is being read."""

    def __init__(self, makers, persistent):
        self.stack, self.memo = [], {}
        self._makers, self._persistent = makers, persistent

    def run(self, name, argument):
        """Carry out one operation."""
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple(self._last(int(name[-1]))))
        elif name in ("SETITEM", "SETITEMS"):
            self._fill_dict(self._last(2) if name == "SETITEM" else self._since_mark())
        elif name in ("APPEND", "APPENDS"):
            self._fill_list(self._last(1) if name == "APPEND" else self._since_mark())
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(self._maker(argument.replace(" ", ".", 1) if argument else ".".join(self._last(2))))
        elif name == "REDUCE":
            maker, arguments = self._last(2)
            stack.append(self._made(maker, arguments))
        elif name == "BUILD":
            stack.pop()  # attributes of an object; a dict has none that matter
        elif name == "BINPERSID" and self._persistent is not None:
            stack.append(self._persistent(stack.pop()))
        elif name not in ("PROTO", "FRAME"):
            raise PickleError(f"its pickle has the operation {name}, which state dicts do without.")

    def _last(self, count):
        found = self.stack[-count:]
        if len(found) < count:
            raise PickleError("its pickle is damaged: it takes more from the stack than there is.")
        del self.stack[-count:]
        return found

    def _since_mark(self):
        found = []
        while (item := self.stack.pop()) is not _MARK:
            found.append(item)
        return found[::-1]

    def _fill_dict(self, items):
        target = self.stack[-1]
        if type(target) is not dict or not all(isinstance(key, (str, int)) for key in items[::2]):
            raise PickleError("its pickle sets items of something that is no dict, or under keys that are no names.")
        target.update(zip(items[::2], items[1::2]))

    def _fill_list(self, items):
        if type(self.stack[-1]) is not list:
            raise PickleError("its pickle appends to something that is no list.")
        self.stack[-1].extend(items)

    def _maker(self, name):
        if name not in self._makers:
            raise PickleError(f"its pickle asks for {name:.100}, which state dicts do without. Such a file could run code.")
        return self._makers[name]

    def _made(self, maker, arguments):
        if not any(maker is known for known in self._makers.values()) or not callable(maker) or type(arguments) is not tuple:
            raise PickleError("its pickle calls something that is no function.")
        return maker(*arguments)
