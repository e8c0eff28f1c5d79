"""Programs that start several processes of one run: what their variables tell each process."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

SLURM = (
    "SLURM_JOB_ID",
    "SLURM_STEP_NODELIST",  # only `srun` sets it: a batch script by itself is not one of several processes
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
)
OPEN_MPI = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK")
OPEN_MPI_ADDRESS = "OMPI_MCA_orte_hnp_uri"  # from which JAX reads the address of the first process
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
TPU_HOSTS, TPU_ID = "TPU_WORKER_HOSTNAMES", "TPU_WORKER_ID"


@dataclasses.dataclass(frozen=True)
class Launch:
    """Place of this process among those of a run.

    Attributes:
      launcher: what started them, for people.
      num_processes: number of them.
      process_id: number of this one, from 0.
      local_id: its number among those on its host; None if the launcher does not tell.
      num_local: number of processes on its host; None likewise.
      address: host and port of the first process; None if JAX finds it.
    """

    launcher: str
    num_processes: int
    process_id: int
    local_id: int | None = None
    num_local: int | None = None
    address: str | None = None

    def local_device_ids(self, num_visible: int) -> list[int] | None:
        """Chooses the GPUs of this process among those that it sees, numbered from 0.

        One process a host takes all that it sees. Several take equal parts of them, unless each sees one
        alone, which is then its own: so with `--gpus-per-task=1` or `--gpu-bind=single:1`. JAX by itself
        takes the GPU of the number of the process, which is wrong in the first and in the last case.

        Args:
          num_visible: GPUs that this process sees; 0 if there are none or it is not known.

        Returns:
          numbers of GPUs, or None to leave the choice to JAX.

        Raises:
          ValueError: they cannot be shared out.
        """
        if not num_visible or self.local_id is None:
            return None
        count = self.num_local or 1
        if count == 1 or num_visible == 1:
            return list(range(num_visible))
        if num_visible % count:
            raise ValueError(
                f"{num_visible} GPUs of a host cannot be shared out evenly among its {count} processes"
            )
        each = num_visible // count
        return list(range(self.local_id * each, (self.local_id + 1) * each))


def detect_launch(environ: Mapping[str, str]) -> Launch | None:
    """Reads what started this process from its environment variables.

    Args:
      environ: variables, such as `os.environ`.

    Returns:
      the launch by the three variables `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID`,
      by `srun` of Slurm, by Open MPI, or on the hosts of a cloud's TPU; None if some variable of each is
      missing, as in a shell that was opened by ssh on a node of a job.
    """
    has = lambda names: all(environ.get(name) for name in names)
    address = environ.get(VARIABLES[0]) or None
    if has(VARIABLES):
        count, number = (int(environ[name]) for name in VARIABLES[1:])
        return Launch("JAX's variables", count, number, address=address)
    if has(SLURM):
        count, number, local = (int(environ[name]) for name in SLURM[2:])
        return Launch("Slurm", count, number, local, _slurm_tasks(environ), address)
    if has(OPEN_MPI) and (environ.get(OPEN_MPI_ADDRESS) or address):
        count, number, local = (int(environ[name]) for name in OPEN_MPI)
        num_local = environ.get("OMPI_COMM_WORLD_LOCAL_SIZE")
        return Launch("Open MPI", count, number, local, int(num_local) if num_local else None, address)
    if has((TPU_HOSTS, TPU_ID)):
        hosts = environ[TPU_HOSTS].split(",")
        return Launch("TPU hosts", len(hosts), int(environ[TPU_ID]))
    return None


def _slurm_tasks(environ: Mapping[str, str]) -> int | None:
    """Number of tasks on this node, from a text such as `2(x3),1`: 2 on each of three nodes, then 1."""
    text = environ.get("SLURM_STEP_TASKS_PER_NODE") or environ.get("SLURM_TASKS_PER_NODE") or ""
    counts = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if found is None:
            return None
        counts += [int(found[1])] * int(found[2] or 1)
    node = int(environ.get("SLURM_NODEID") or 0)
    return counts[node] if node < len(counts) else None


def is_requeued(environ: Mapping[str, str]) -> bool:
    """Tells whether Slurm started this job before: after `scontrol requeue`, preemption, or a lost node."""
    return int(environ.get("SLURM_RESTART_COUNT") or 0) > 0
