"""Benchmarks: each function measures one part and returns a report for JSON; `kinetix benchmark` prints it.

The modules are imported one by one, since `measure.use_host_devices` works before jax is imported only.
"""
