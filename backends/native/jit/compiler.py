"""From modules to machine code: in a thread, in turn, while what wants them runs in another way; a folder keeps what was made.

The thread is there while there is something to compile. It is no daemon, so an interpreter that ends waits for the module at hand, and
for no other.
"""

import collections
import os
import threading
import weakref

from mlkit.backends.native import kept
from mlkit.backends.native.jit.library import binding, machine
from mlkit.core import debug

ENTRY = "run"  # the name of each module's function


class Code:
    """Native code that will be there. write: function () -> text of a module with a function `ENTRY`; kind: its ctypes type.

    function: what to call, None while it is not there; failure: in words, why it never will be.
    """

    def __init__(self, write, kind):
        self._write, self._kind = write, kind
        self.function, self.failure = None, ""

    def make(self):
        """Compile it, or find it in the folder."""
        try:
            engine = _engine_of(self._write())
            weakref.finalize(self, _let_go, engine).atexit = False
            self.function = self._kind(engine.get_function_address(ENTRY))
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


def want(code):
    """Have code made; with MLKIT_JIT=wait, now."""
    if debug.JIT == "wait":
        with _compiling:
            _make(code)
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


_compiling = threading.RLock()  # whatever is done with LLVM is done by who holds it; taken before `_lock` by who needs both
_discarded = collections.deque()  # engines of which the code is needed no more


def _work():
    global _thread
    while True:
        with _compiling:
            with _lock:
                if not _waiting or not threading.main_thread().is_alive():
                    _waiting.clear()
                    _thread = None
                    _lock.notify_all()
                    return
                code = _waiting.popleft()
            _make(code)
            del code


def _make(code):
    code.make()
    while _discarded:
        _discarded.pop().close()


def _let_go(engine):
    """Give an engine's memory back: now, or where LLVM is at work, when that is done."""
    if not _compiling.acquire(blocking=False):
        _discarded.append(engine)
        return
    try:
        engine.close()
    finally:
        _compiling.release()


def _before_fork():
    """A fork waits for the module at hand: a child would find LLVM's locks held for ever."""
    _compiling.acquire()
    _lock.acquire()


def _after_fork():
    _lock.release()
    _compiling.release()


def _in_child():
    """It has none of its parent's threads; its own begins, with what they had not come to, when it wants something."""
    global _lock, _thread, _compiling
    _lock, _thread, _compiling = threading.Condition(), None, threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
