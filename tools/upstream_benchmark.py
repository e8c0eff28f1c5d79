"""Times the engine Jax2D 1.0.2 on scenes that `kinetix benchmark engine` saved; prints one JSON line.

Runs in an environment of its own, which has that engine instead of this project's (both are called
`jax2d`), and jax below 0.12, which has no cross product of vectors in a plane: see tools/compare_upstream.sh.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

# As a plain file, since this environment does not have this project's packages.
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "agents" / "benchmark"))
import measure


def load(path: str):
    """The scenes of a file as Jax2D's batched state, its static parameters, and the actions."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax2d.engine import StaticSimParams, calculate_collision_matrix, create_empty_sim

    data = dict(np.load(path))
    batch, polygons = data["vertices"].shape[:2]
    static = StaticSimParams(
        num_polygons=polygons,
        num_circles=data["radius"].shape[1],
        num_joints=data["joints.body_a"].shape[1],
        num_thrusters=data["thrusters.body"].shape[1],
        max_polygon_vertices=data["vertices"].shape[2],
        num_static_fixated_polys=4,
    )
    empty = create_empty_sim(static)
    state = jax.tree.map(lambda x: jnp.broadcast_to(x, (batch, *jnp.shape(x))), empty)
    bodies = ("position", "rotation", "velocity", "angular_velocity", "inverse_mass", "inverse_inertia")
    bodies += ("friction", "restitution", "collision_mode", "active")
    pick = lambda part: {name: jnp.asarray(data[name][:, part]) for name in bodies}
    joint = {
        "a_index": "body_a",
        "b_index": "body_b",
        "a_relative_pos": "anchor_a",
        "b_relative_pos": "anchor_b",
        "rotation": "reference_rotation",
        "active": "active",
        "is_fixed_joint": "weld",
        "motor_on": "motor_on",
        "motor_speed": "motor_speed",
        "motor_power": "motor_power",
        "motor_has_joint_limits": "limits_on",
        "min_rotation": "min_rotation",
        "max_rotation": "max_rotation",
    }
    thruster = {
        "object_index": "body",
        "relative_position": "anchor",
        "rotation": "direction",
        "power": "power",
        "active": "active",
    }
    joints = state.joint.replace(**{k: jnp.asarray(data[f"joints.{v}"]) for k, v in joint.items()})
    state = state.replace(
        polygon=state.polygon.replace(
            **pick(slice(polygons)),
            vertices=jnp.asarray(data["vertices"]),
            n_vertices=jnp.asarray(data["num_vertices"]),
        ),
        circle=state.circle.replace(**pick(slice(polygons, None)), radius=jnp.asarray(data["radius"])),
        joint=joints,
        thruster=state.thruster.replace(
            **{k: jnp.asarray(data[f"thrusters.{v}"]) for k, v in thruster.items()}
        ),
        gravity=jnp.asarray(data["gravity"]),
    )
    matrix = jax.vmap(calculate_collision_matrix, in_axes=(None, 0))(static, joints)
    return state.replace(collision_matrix=matrix), static, data["actions"]


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", help=".npz of kinetix benchmark engine --save-scenes")
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--steps", type=int, help="no more than this many steps of the file")
    parser.add_argument("--save-final", metavar="FILE", help="also write the final positions as .npz")
    options = parser.parse_args()
    measure.use_host_devices(options.devices)

    import jax
    import numpy as np
    from jax2d.engine import PhysicsEngine
    from jax2d.sim_state import SimParams

    states, static, actions = load(options.scenes)
    actions = actions[: options.steps]
    steps, batch = actions.shape[:2]
    engine, params = PhysicsEngine(static), SimParams()

    def rollout(states, actions):
        step = jax.vmap(lambda state, action: engine.step(state, params, action)[0])
        return jax.lax.scan(lambda s, a: (step(s, a), None), states, actions)[0]

    num_devices = min(options.devices, len(jax.devices()))
    function, place = measure.shard(rollout, num_devices)
    arguments = place(states, actions)
    result = measure.measure(function, arguments, steps, batch)
    compiled = result.pop("compiled")
    if options.save_final:
        final = compiled(*arguments)
        position = np.concatenate([final.polygon.position, final.circle.position], axis=1)
        np.savez(options.save_final, position=position)
    report = {"benchmark": "engine", "engine": "Jax2D 1.0.2", "num_envs": batch, "steps": steps}
    print(json.dumps(report | {"devices_used": num_devices} | result | measure.machine()))


if __name__ == "__main__":
    main()
