"""Starts `kinetix train` of this checkout: python scripts/train.py --help"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from agents.cli.main import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
