"""Starts `kinetix compare` of this checkout: python scripts/compare_runs.py --help"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from agents.cli.main import main

if __name__ == "__main__":
    main(["compare", *sys.argv[1:]])
