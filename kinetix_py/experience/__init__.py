"""Experience as data: episodes stored as levels, actions and key frames, and observed again by replay."""

from kinetix_py.experience.dataset import Drift, Experience
from kinetix_py.experience.export import export_npz
from kinetix_py.experience.recorder import Recorder
from kinetix_py.experience.shard import ShardError

__all__ = ["Drift", "Experience", "Recorder", "ShardError", "export_npz"]
