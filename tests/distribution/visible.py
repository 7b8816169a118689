"""What a rank sees of the host: its number there, and the GPUs. python visible.py FOLDER"""

import os
import pathlib
import sys

from mlkit.core.state import state

rank = state.backend.processes()[1]
seen = [os.environ["MPI_LOCALRANKID"], os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("MLKIT_DEVICE")]
(pathlib.Path(sys.argv[1]) / f"rank-{rank}.seen").write_text(" ".join(map(str, seen)))
