"""The level library: level files with a solution and a measured difficulty, in named sets.

`index.csv` lists the levels with their size, label, split and tags; `sets` reads it. `families` holds the
functions that build the levels, with parameters for variants; `import kinetix_py` does not import them.
"""
