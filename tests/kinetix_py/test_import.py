"""Importing the package is cheap: it draws nothing, compiles nothing and needs jax and numpy only."""

from __future__ import annotations

import json
import os
import subprocess
import sys

RUNS = 2
SCRIPT = """
import json, sys, time
start = time.process_time()
import jax, jax.numpy
middle = time.process_time()
before = set(sys.modules)
import kinetix_py
share = (time.process_time() - middle) / (middle - start)
print(json.dumps([share, sorted(set(sys.modules) - before)]))
"""


def run():
    """CPU time of importing the package as a share of jax's, and the modules that it added."""
    env = {
        k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"
    }  # an installed package has some
    out = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=env)
    return json.loads(out.stdout)


def test_importing_takes_at_most_a_quarter_of_the_time_of_importing_jax():
    run()  # writes the byte code
    shares, modules = zip(*[run() for _ in range(RUNS)], strict=True)
    assert min(shares) <= 0.25, shares
    others = {
        name
        for name in modules[0]
        if name.split(".")[0] not in ("jax2d", "kinetix_py", *sys.stdlib_module_names)
    }
    assert not others
    assert not [name for name in modules[0] if ".families" in name or name.startswith("kinetix_py.play")]
