"""From modules to machine code: in a thread, in turn, while what wants them runs in another way; a folder keeps what was made.

The thread is there while there is something to compile. It is no daemon, so an interpreter that ends waits for the module at hand, and
for no other.
"""

import collections
import os
import threading

from mlkit.backends.native import kept
from mlkit.backends.native.jit.library import binding, machine
from mlkit.core import debug

ENTRY = "run"  # the name of each module's function


class Code:
    """Native code that will be there. write: function () -> text of a module with a function `ENTRY`; kind: its ctypes type.

    function: what to call, None while it is not there; failure: in words, why it never will be.
    """

    def __init__(self, write, kind):
        self._write, self._kind, self._engine = write, kind, None
        self.function, self.failure = None, ""

    def make(self):
        """Compile it, or find it in the folder."""
        try:
            self._engine = _engine_of(self._write())
            self.function = self._kind(self._engine.get_function_address(ENTRY))
        except Exception as error:  # whatever LLVM refuses: the loop goes on in Python, and says why it does
            self.failure = f"{type(error).__name__}: {error}"
            if debug.LEVEL >= 1:
                debug.say(f"no native code for a loop: {self.failure}")
        finally:
            self._write = None


def _engine_of(text):
    """An engine that holds the machine code of a module's text."""
    key = f"{machine().key}\n{text}"
    path = kept.path_of("loops", key, "o")
    code = kept.read(path)
    if code is None:
        if debug.LEVEL >= 4:
            debug.say(f"module of a loop\n{text}")
        code = _compiled(text)
        kept.write(path, code)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine().model())
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def _compiled(text):
    """The object file of a module."""
    model = machine().model()
    module = binding.parse_assembly(text)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    passes = binding.create_pass_builder(model, options)
    passes.getModulePassManager().run(module, passes)
    return model.emit_object(module)


# ---- the thread ------------------------------------------------------------------------------------------------------

_lock = threading.Condition()
_waiting = collections.deque()
_thread = None
_is_stuck = False  # whether LLVM was left behind in the midst of its work


def want(code):
    """Have code made; with MLKIT_JIT=wait, now."""
    if _is_stuck:
        code.failure = "this process was forked from one that was compiling"
        return
    if debug.JIT == "wait":
        with _compiling:
            code.make()
        return
    global _thread
    with _lock:
        _waiting.append(code)
        if _thread is None:
            _thread = threading.Thread(target=_work, name="mlkit-jit")
            _thread.start()


def wait(timeout=None):
    """Wait until all code that is wanted is there. False where the time, in seconds, was not enough."""
    with _lock:
        return _lock.wait_for(lambda: _thread is None, timeout)


_compiling = threading.Lock()  # LLVM's own objects are for one thread at a time


def _work():
    global _thread
    while True:
        with _lock:
            if not _waiting or not threading.main_thread().is_alive():
                _waiting.clear()
                _thread = None
                _lock.notify_all()
                return
            code = _waiting.popleft()
        with _compiling:
            code.make()
        del code


def _after_fork():
    """A child has none of its parent's threads. What they held of LLVM's stays held, so it compiles nothing if they were at it."""
    global _lock, _thread, _compiling, _is_stuck
    _is_stuck = _is_stuck or _thread is not None or _compiling.locked()
    _lock, _thread, _compiling = threading.Condition(), None, threading.Lock()
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
