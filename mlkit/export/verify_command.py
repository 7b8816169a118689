"""`python -m mlkit verify-file`: an exported file is run on the sample that it holds."""

import argparse
import json
import math

from mlkit.export.model_export import verify
from mlkit.utils.console import print_message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("file", help="an .onnx, .ort, .tflite or .xml file written by Model.export")


def run(options: argparse.Namespace) -> int:
    """Run the file. The exit status: 1 if it answers otherwise than the model did."""
    difference = verify(options.file)
    same = difference <= 1
    if options.json:
        told = float(difference) if math.isfinite(difference) else None  # JSON has no NaN
        print_message(json.dumps({"file": options.file, "same": same, "difference": told}))
    else:
        print_message(f"{options.file}: {'as' if same else 'not as'} the model answered ({difference:.2g} of what is allowed)")
    return 0 if same else 1
