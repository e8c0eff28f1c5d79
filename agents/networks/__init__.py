"""Actor-critic networks for every observation and action type: `make_network(config, env)`."""
