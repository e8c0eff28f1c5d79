"""Records outputs of Kinetix's own transformer: see record_kinetix_network.sh.

    python record_kinetix_network.py FOLDER FILE SEED    with Kinetix; FOLDER as of record_kinetix_episodes.py

Arrays of the record, for L levels of N bodies:

    levels     str [L]                names in the library
    attention  bool [L, 4, N, N]      masks; those of contacts are drawn at random
    probs      float32 [L, 6, 3]      of each binding's choices, 0 of a thruster's third
    value      float32 [L]
    params/... float32                parameters, drawn at random, by their path in Kinetix's tree
"""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np

SIZES = {"transformer_size": 16, "transformer_encoder_size": 16, "transformer_depth": 2, "num_heads": 8}
HEADS = {"fc_layer_depth": 2, "fc_layer_width": 16}
CHOICES = [3, 3, 3, 3, 2, 2]


def record(folder: str, path: str, seed: str) -> None:
    """Applies a network of random parameters to the first observation of every level of a folder."""
    import jax
    import jax.numpy as jnp
    from kinetix.environment.spaces import ActionType
    from kinetix.models.transformer_model import ActorCriticTransformer
    from kinetix.render.renderer_symbolic_entity import make_render_entities
    from kinetix.util.saving import load_from_json_file

    network = ActorCriticTransformer(
        **SIZES,
        **HEADS,
        action_dim=sum(CHOICES),
        action_mode=ActionType.MULTI_DISCRETE,
        hybrid_action_continuous_dim=0,
        multi_discrete_number_of_dims_per_distribution=CHOICES,
        activation="tanh",
        aggregate_mode="dummy_and_mean",
        full_attention_mask=False,
        recurrent=False,
    )
    random = np.random.default_rng(int(seed))
    names = sorted(file.stem for file in pathlib.Path(folder).glob("*.json") if file.stem != "motor_auto")
    inputs = []
    for name in names:
        file = pathlib.Path(folder, f"{name}.json").resolve()
        state, static, params = load_from_json_file(str(file))
        # Its reader leaves gravity at 9.81 m/s^2.
        gravity = json.loads(file.read_text())["env_state"]["gravity"]
        state = state.replace(gravity=jnp.array([gravity["0"], gravity["1"]]))
        obs = make_render_entities(params, static)(state)
        active = np.concatenate([obs.polygon_mask, obs.circle_mask])
        touching = np.triu(random.random(obs.attention_mask.shape[1:]) < 0.3, 1)
        touching = (touching | touching.T) & active[:, None] & active[None]
        attention = obs.attention_mask.at[3].set(touching)
        inputs.append(obs.replace(attention_mask=attention))
    obs = jax.tree.map(lambda *leaves: jnp.stack(leaves)[None], *inputs)
    x = obs, jnp.zeros((1, len(names)), bool)
    draw = lambda leaf: random.normal(0, 1.5 / np.sqrt(leaf.shape[0]), leaf.shape).astype(np.float32)
    weights = jax.tree.map(draw, jax.eval_shape(network.init, jax.random.key(0), None, x))
    _, policy, value = jax.jit(network.apply)(weights, None, x)
    widen = lambda probs: np.pad(probs[0], ((0, 0), (0, 3 - probs.shape[-1])))
    paths = {
        "/".join(key.key for key in keys): leaf for keys, leaf in jax.tree_util.tree_leaves_with_path(weights)
    }
    np.savez_compressed(
        path,
        levels=names,
        attention=np.asarray(obs.attention_mask[0]),
        probs=np.stack([widen(np.asarray(part.probs)) for part in policy.distributions], axis=1),
        value=np.asarray(value[0]),
        **paths,
    )


if __name__ == "__main__":
    record(*sys.argv[1:])
