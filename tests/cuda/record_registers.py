"""Write how many registers each kernel takes for each architecture to registers.json: python -m tests.cuda.record_registers"""

import json

from tests.cuda.test_nvrtc import ARCHITECTURES, TABLE, nvrtc, registers


def record():
    found = [registers(architecture)[0] for architecture in ARCHITECTURES]
    rows = (f'  "{name}": {[of[name] for of in found]}' for name in sorted(found[0]))
    version, names = json.dumps(list(nvrtc.getVersion())), json.dumps(ARCHITECTURES)
    TABLE.write_text(f'{{"NVRTC": {version}, "architectures": {names},\n "registers": {{\n' + ",\n".join(rows) + "\n}}\n")


if __name__ == "__main__":
    record()
