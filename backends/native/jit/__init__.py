"""Native code for whole loops, through LLVM: an optional row before the loops of Python (`backends/native/loops.py`).

`body` turns the graph of a loop's body into steps over memory, `module` these into LLVM's language, `compiler` that into machine code, in
a thread beside the first runs, which go on in Python meanwhile. What is not known declines, and stays in Python.
"""
