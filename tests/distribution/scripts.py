"""Runs several scripts in one start of the processes, one after the other. python scripts.py SCRIPT ..."""

import runpy
import sys

for script in sys.argv[1:]:
    runpy.run_path(script, run_name="__main__")
    print("done:", script)
