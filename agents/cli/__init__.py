"""The command `kinetix`: one module for each of its subcommands."""
