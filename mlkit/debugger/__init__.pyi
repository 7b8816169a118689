# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.debugger.breakpoint import Breakpoint as Breakpoint
from mlkit.debugger.debugger import Debugger as Debugger
from mlkit.debugger.live import LiveDebugger as LiveDebugger
from mlkit.debugger.open import debug as debug
