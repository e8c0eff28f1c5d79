"""Plans of programs for devices that are not there: memory, traffic and a model of their time."""
