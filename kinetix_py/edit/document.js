// The level as plain JSON, the content of a level file: questions about it, and edits of a copy ("draft").
let SIZES = {}, ROLES = [];
const COUNTS = { polygons: "num_polygons", circles: "num_circles", joints: "num_joints", thrusters: "num_thrusters",
  max_vertices: "max_vertices", motor_bindings: "num_motor_bindings", thruster_bindings: "num_thruster_bindings", walls: "num_walls" };
const WALLS = ["floor", "left wall", "right wall", "ceiling"];
const wallBox = (id, position, size) => ({ id, shape: "box", position, size, static: true, wall: true });
const wallFrom = (id, position, vertices) => ({ id, shape: "polygon", position, vertices, static: true, wall: true });
const ROOMS = {
  standard: [wallBox(WALLS[0], [2.5, -4.6], [5, 10]), wallBox(WALLS[1], [-2.5, 2.5], [5, 5]),
    wallBox(WALLS[2], [7.5, 2.5], [5, 5]), wallBox(WALLS[3], [2.5, 10], [5, 10])],
  kinetix: [wallBox(WALLS[0], [2.5, -4.8], [5, 10.4]), wallFrom(WALLS[1], [0, 0], [[-5, 5], [0, 5], [0, 0], [-5, 0]]),
    wallFrom(WALLS[2], [0, 0], [[5, 5], [10, 5], [10, 0], [5, 0]]), wallBox(WALLS[3], [2.5, 10.2], [5, 10.4])],
};
const clone = (value) => structuredClone(value);

function sizeOf(doc, size = doc.size) {
  const fields = Object.keys(COUNTS);
  if (typeof size === "string") return Object.fromEntries(fields.map((name) => [name, SIZES[size][COUNTS[name]]]));
  return { max_vertices: 4, motor_bindings: 4, thruster_bindings: 2, walls: Math.min(4, size.polygons), ...size };
}
const wallsOf = (doc) => {
  if (doc.walls === "listed") return [];
  const room = typeof doc.walls === "object" ? doc.walls.room : doc.walls || "standard";
  return ROOMS[room].slice(0, sizeOf(doc).walls);
};
const bodyOf = (doc, id) => doc.bodies.find((body) => body.id === id) || wallsOf(doc).find((wall) => wall.id === id);
// Listed walls are among the bodies; they neither move nor go.
const isFixed = (doc, body) => body.wall || doc.walls === "listed" && slots(doc).bodies[body.id] < sizeOf(doc).walls;

// Slots of all entities, as the reader of level files hands them out.
function slots(doc) {
  const size = sizeOf(doc), walls = wallsOf(doc), bodies = {};
  walls.forEach((wall, i) => { bodies[wall.id] = i; });
  let polygon = walls.length, circle = 0;
  for (const body of doc.bodies) {
    const slot = body.slot ?? (body.shape === "circle" ? circle : polygon);
    if (body.shape === "circle") circle = slot + 1; else polygon = slot + 1;
    bodies[body.id] = body.shape === "circle" ? slot + size.polygons : slot;
  }
  const rows = (list) => { let next = 0; return list.map((row) => { next = (row.slot ?? next) + 1; return next - 1; }); };
  return { bodies, joints: rows(doc.joints), thrusters: rows(doc.thrusters) };
}
// How many more of each kind fit.
function free(doc, size = doc.size) {
  const has = sizeOf(doc, size), circles = doc.bodies.filter((body) => body.shape === "circle").length;
  return { polygons: has.polygons - wallsOf(doc).length - (doc.bodies.length - circles), circles: has.circles - circles,
    joints: has.joints - doc.joints.length, thrusters: has.thrusters - doc.thrusters.length };
}
const corners = (doc) => Math.max(4, ...doc.bodies.map((body) => (body.vertices || []).length));
const fits = (doc, size) => {
  const has = sizeOf(doc, size), top = (list, name) => Math.max(-1, ...list.map((row) => row[name] || 0));
  return Object.values(free(doc, size)).every((count) => count >= 0) && has.max_vertices >= corners(doc) &&
    has.walls === sizeOf(doc).walls && top(doc.joints, "motor_binding") < Math.max(has.motor_bindings, 0 + !doc.joints.length) &&
    top(doc.thrusters, "thruster_binding") < Math.max(has.thruster_bindings, 0 + !doc.thrusters.length);
};
function newId(doc, kind) {
  const taken = new Set([...doc.bodies.map((body) => body.id), ...WALLS]);
  let n = 1;
  while (taken.has(`${kind} ${n}`)) n += 1;
  return `${kind} ${n}`;
}
// Fields of rules need version 3 of the format, a difficulty and what is kept for others version 2.
const RULES = ["goal", "hold", "sensor", "waits_for"], SWITCHES = 4;
function raiseVersion(draft) {
  if (draft.difficulty || draft.extra) draft.version = Math.max(draft.version, 2);
  const rows = [...draft.bodies, ...draft.joints, ...draft.thrusters];
  if (draft.agents || rows.some((row) => RULES.some((name) => name in row))) draft.version = Math.max(draft.version, 3);
}
// Lets a binding belong to agent 0 or 1; a level without agent 1 has no agents.
const AGENT_KINDS = { motors: "motor_bindings", thrusters: "thruster_bindings" };
function setAgents(draft, change) {
  const size = sizeOf(draft), agents = { opposed: false, ...draft.agents };
  for (const [kind, count] of Object.entries(AGENT_KINDS)) agents[kind] = Array.from({ length: size[count] }, (_, i) => (agents[kind] || [])[i] || 0);
  change(agents);
  for (const kind of Object.keys(AGENT_KINDS)) if (!agents[kind].some(Boolean)) delete agents[kind];
  if (!agents.motors && !agents.thrusters || !agents.opposed) delete agents.opposed;
  if (Object.keys(agents).length) draft.agents = agents; else delete draft.agents;
}
// Unused slots between others close up.
function compact(draft) {
  for (const row of [...draft.bodies, ...draft.joints, ...draft.thrusters]) delete row.slot;
}
const jointPoint = (doc, joint) => toWorld(bodyOf(doc, joint.a), joint.anchor_a || [0, 0]);
const thrusterPoint = (doc, thruster) => toWorld(bodyOf(doc, thruster.body), thruster.anchor || [0, 0]);
const thrusterAngle = (doc, thruster) => (thruster.direction || 0) + (bodyOf(doc, thruster.body).rotation || 0);
const areaOf = (body) => (body.shape === "circle" ? Math.PI * body.radius ** 2 : Math.abs(areaAndCenter(localPoints(body)).area));
const setOr = (row, name, value, usual) => { if (value === usual) delete row[name]; else row[name] = value; };
// Only blue shapes have a place in the sequence of goals, and only motors wait for a switch.
function giveRole(row, role) {
  setOr(row, "role", role, "none");
  if (role !== "blue") { delete row.goal; delete row.hold; }
}
function turnMotor(joint, on) {
  setOr(joint, "motor_on", on, false);
  if (!on) delete joint.waits_for;
}
const setPoint = (row, name, point) => { const p = roundPoint(point); if (p[0] || p[1]) row[name] = p; else delete row[name]; };

// The bodies that chains of joints link to some, walls left out.
function linked(doc, ids) {
  const found = new Set(ids), fixed = new Set(wallsOf(doc).map((wall) => wall.id));
  for (let grown = true; grown;) {
    grown = false;
    for (const { a, b } of doc.joints) {
      if (fixed.has(a) || fixed.has(b) || found.has(a) === found.has(b)) continue;
      found.add(a); found.add(b); grown = true;
    }
  }
  return [...found].filter((id) => !isFixed(doc, bodyOf(doc, id)));
}

// After bodies changed: joints to others go along with them ("carry") or keep their place in the room ("stay").
function mendJoints(draft, before, ids, rule) {
  const changed = new Set(ids);
  for (const joint of draft.joints) {
    const [a, b] = [bodyOf(draft, joint.a), bodyOf(draft, joint.b)];
    if (!changed.has(joint.a) && !changed.has(joint.b)) continue;
    if (rule === "stay" || changed.has(joint.a) !== changed.has(joint.b)) {
      const own = changed.has(joint.a) ? [a, "anchor_a"] : [b, "anchor_b"];
      const place = rule === "stay" ? jointPoint(before, joint) : toWorld(own[0], joint[own[1]] || [0, 0]);
      setPoint(joint, "anchor_a", toLocal(a, place));
      setPoint(joint, "anchor_b", toLocal(b, place));
    }
    if (joint.reference_rotation !== undefined) {
      const by = (id) => (bodyOf(draft, id).rotation || 0) - (bodyOf(before, id).rotation || 0);
      joint.reference_rotation = round(joint.reference_rotation + by(joint.b) - by(joint.a));
    }
  }
}
// Thrusters keep their place in the room when the shape under them changes.
function mendThrusters(draft, before, id) {
  for (const thruster of draft.thrusters) {
    if (thruster.body === id) setPoint(thruster, "anchor", toLocal(bodyOf(draft, id), thrusterPoint(before, thruster)));
  }
}
const freshMass = (body) => { delete body.inverse_mass; delete body.inverse_inertia; };

function moveBodies(draft, ids, shift) {
  const before = clone(draft);
  for (const body of draft.bodies) if (ids.includes(body.id)) body.position = roundPoint(add(body.position, shift));
  mendJoints(draft, before, ids, "carry");
}
function rotateBodies(draft, ids, angle, pivot) {
  const before = clone(draft);
  for (const body of draft.bodies) {
    if (!ids.includes(body.id)) continue;
    body.position = roundPoint(add(pivot, turned(minus(body.position, pivot), angle)));
    setOr(body, "rotation", normalAngle((body.rotation || 0) + angle), 0);
  }
  mendJoints(draft, before, ids, "carry");
}
function mirrorBodies(draft, ids, axis) {
  const before = clone(draft), pivot = middle(bounds(draft.bodies.filter((body) => ids.includes(body.id))));
  const flip = (p) => (axis === 0 ? [-p[0], p[1]] : [p[0], -p[1]]);
  for (const body of draft.bodies) {
    if (!ids.includes(body.id)) continue;
    body.position = roundPoint(add(pivot, flip(minus(body.position, pivot))));
    setOr(body, "rotation", round(-(body.rotation || 0)), 0);
    if (body.vertices) body.vertices = body.vertices.map((p) => roundPoint(flip(p))).reverse();
    if (body.velocity) body.velocity = roundPoint(flip(body.velocity));
    if (body.angular_velocity) body.angular_velocity = -body.angular_velocity;
  }
  for (const joint of draft.joints) {
    if (!ids.includes(joint.a) || !ids.includes(joint.b)) continue;
    for (const name of ["anchor_a", "anchor_b"]) if (joint[name]) setPoint(joint, name, flip(joint[name]));
    if (joint.limits) joint.limits = [round(-joint.limits[1]), round(-joint.limits[0])];
    if (joint.motor_auto) joint.motor_speed = -(joint.motor_speed ?? 1);  // others turn as their key says
    if (joint.reference_rotation !== undefined) joint.reference_rotation = round(-joint.reference_rotation);
  }
  for (const thruster of draft.thrusters) {
    if (!ids.includes(thruster.body)) continue;
    if (thruster.anchor) setPoint(thruster, "anchor", flip(thruster.anchor));
    const direction = thruster.direction || 0;
    setOr(thruster, "direction", normalAngle(axis === 0 ? Math.PI - direction : -direction), 0);
  }
  const single = draft.joints.filter((joint) => ids.includes(joint.a) !== ids.includes(joint.b));
  mendJoints({ ...draft, joints: single }, before, ids, "carry");
}
// Scales a body along the axes of its frame about a point of it that stays where it is.
function scaleBody(draft, id, [sx, sy], fixed) {
  const before = clone(draft), body = bodyOf(draft, id);
  const scaled = (p) => [fixed[0] + (p[0] - fixed[0]) * sx, fixed[1] + (p[1] - fixed[1]) * sy];
  if (body.shape === "circle") body.radius = round(Math.max(body.radius * sx, MIN_SIZE / 2));
  else if (body.shape === "box") {
    const size = [Math.max(body.size[0] * sx, MIN_SIZE), Math.max(body.size[1] * sy, MIN_SIZE)];
    const exact = [size[0] / body.size[0], size[1] / body.size[1]];
    body.position = roundPoint(toWorld(body, [fixed[0] * (1 - exact[0]), fixed[1] * (1 - exact[1])]));
    body.size = roundPoint(size);
  } else if (!setCorners(body, body.vertices.map((p) => toWorld(body, scaled(p))))) return false;
  freshMass(body);
  mendJoints(draft, before, [id], "stay");
  mendThrusters(draft, before, id);
  return true;
}
// Gives a polygon other corners, in the room; false and no change if they are not convex.
function setCorners(body, points) {
  const ordered = clockwise(points);
  if (!isConvex(ordered)) return false;
  const center = roundPoint(areaAndCenter(ordered).center), local = ordered.map((p) => roundPoint(turned(minus(p, center), -(body.rotation || 0))));
  if (!isConvex(local)) return false;
  body.shape = "polygon";
  delete body.size;
  body.vertices = local;
  body.position = center;
  return true;
}
function changeCorners(draft, id, points) {
  const before = clone(draft), body = bodyOf(draft, id);
  if (!setCorners(body, points)) return false;
  freshMass(body);
  mendJoints(draft, before, [id], "stay");
  mendThrusters(draft, before, id);
  return true;
}
function removeEntities(draft, chosen) {
  const bodies = new Set(chosen.bodies), joints = new Set(chosen.joints), thrusters = new Set(chosen.thrusters);
  draft.joints = draft.joints.filter((joint, i) => !joints.has(i) && !bodies.has(joint.a) && !bodies.has(joint.b));
  draft.thrusters = draft.thrusters.filter((thruster, i) => !thrusters.has(i) && !bodies.has(thruster.body));
  draft.bodies = draft.bodies.filter((body) => !bodies.has(body.id));
  compact(draft);
}
// What is chosen, with the joints between chosen bodies and the thrusters on them, for pasting.
function excerpt(doc, chosen) {
  const has = new Set(chosen.bodies.filter((id) => !isFixed(doc, bodyOf(doc, id)))), walls = new Set(wallsOf(doc).map((wall) => wall.id));
  const end = (id) => has.has(id) || walls.has(id);
  return clone({ bodies: doc.bodies.filter((body) => has.has(body.id)),
    joints: doc.joints.filter((joint) => end(joint.a) && end(joint.b) && (has.has(joint.a) || has.has(joint.b))),
    thrusters: doc.thrusters.filter((thruster) => has.has(thruster.body)) });
}
// Adds copies, each kind as far as it fits; returns the ids of the new bodies and how many things did not fit.
function addExcerpt(draft, part, shift) {
  compact(draft);
  const before = free(draft), names = {}, left = { ...before }, size = sizeOf(draft);
  let lost = 0;
  for (const body of part.bodies) {
    const kind = body.shape === "circle" ? "circles" : "polygons";
    if (left[kind] <= 0 || (body.vertices || []).length > size.max_vertices) { lost += 1; continue; }
    left[kind] -= 1;
    const copy = clone(body);
    delete copy.slot;
    copy.id = newId(draft, body.shape);
    copy.position = roundPoint(add(copy.position, shift));
    names[body.id] = copy.id;
    draft.bodies.push(copy);
  }
  const end = (id) => names[id] || (wallsOf(draft).some((wall) => wall.id === id) ? id : undefined);
  for (const joint of part.joints) {
    if (left.joints <= 0 || !end(joint.a) || !end(joint.b) || (joint.motor_binding || 0) >= size.motor_bindings) { lost += 1; continue; }
    left.joints -= 1;
    const copy = { ...clone(joint), a: end(joint.a), b: end(joint.b) };
    delete copy.slot;
    draft.joints.push(copy);
    mendJoints({ ...draft, joints: [copy] }, draft, Object.values(names), "carry");
  }
  for (const thruster of part.thrusters) {
    if (left.thrusters <= 0 || !names[thruster.body] || (thruster.thruster_binding || 0) >= size.thruster_bindings) { lost += 1; continue; }
    left.thrusters -= 1;
    const copy = { ...clone(thruster), body: names[thruster.body] };
    delete copy.slot;
    draft.thrusters.push(copy);
  }
  return { ids: Object.values(names), lost };
}
