"""The step as one CUDA kernel, a thread for each scene (README.md, kernel): `SimSpec(backend="cuda")`."""
