// Number fields and switches for what is chosen, or for the level where nothing is.
const HALF = Math.PI / 180;
const degreesOf = (angle) => round((angle || 0) / HALF), radiansOf = (angle) => round(angle * HALF);

// A labeled field. `set(value)` changes the level and may return false to refuse.
function field(label, value, set, { unit = "", min = null, max = null, digits = 4, title = "" } = {}) {
  const row = element("label", "field"), input = element("input");
  row.title = title;
  input.type = "text";
  input.inputMode = "decimal";
  input.value = value === null ? "" : String(Math.round(value * 10 ** digits) / 10 ** digits);
  input.placeholder = value === null ? "various" : "";
  const before = input.value;
  input.addEventListener("change", () => {
    const given = input.value.trim().replace(",", "."), number_ = Number(given);
    const bad = given === "" || !Number.isFinite(number_) ? "must be a number" : min !== null && number_ < min ? `must be at least ${min}` : max !== null && number_ > max ? `must be at most ${max}` : "";
    if (bad || set(number_) === false) { say(`${label} ${bad || "cannot be that"}`, true); input.value = before; }
  });
  row.append(element("span", "", label), input, element("span", "unit", unit));
  return row;
}
function pick(label, value, options, set) {
  const row = element("label", "field wide"), select = element("select");
  for (const [key, words, disabled] of options) {
    const option = element("option", "", words);
    option.value = key;
    option.disabled = Boolean(disabled);
    select.append(option);
  }
  if (value === null) { const option = element("option", "", "various"); option.value = ""; select.prepend(option); }
  select.value = value === null ? "" : value;
  select.addEventListener("change", () => { if (select.value !== "") set(select.value); });
  row.append(element("span", "", label), select);
  return row;
}
function check(label, value, set) {
  const row = element("label", "check"), input = element("input");
  input.type = "checkbox";
  input.checked = value === true;
  input.indeterminate = value === null;
  input.addEventListener("change", () => set(input.checked));
  row.append(input, element("span", "", label));
  return row;
}
function words(label, value, set, long = false) {
  const row = element("label", "field wide"), input = element(long ? "textarea" : "input");
  input.value = value || "";
  input.maxLength = 2000;
  input.addEventListener("change", () => set(input.value.trim()));
  row.append(element("span", "", label), input);
  return row;
}
const common = (values) => (values.every((value) => value === values[0]) ? values[0] : null);
const note = (text_) => element("p", "note", text_);

const ROLE_WORDS = { none: "none", green: "G green (striped)", blue: "B blue (dotted)", red: "R red (crossed)" };
function bodyFields(ids) {
  const bodies = ids.map((id) => bodyOf(doc, id)), one = bodies.length === 1 ? bodies[0] : null, list = [];
  const change = (act) => edit((draft) => { for (const id of ids) act(bodyOf(draft, id)); });
  const number_ = (label, name, usual, options) => field(label, common(bodies.map((b) => b[name] ?? usual)), (value) => change((b) => {
    setOr(b, name, value, usual);
    if (name === "density") freshMass(b);
  }), options);
  if (one) {
    list.push(field("x", one.position[0], (v) => edit((d) => moveBodies(d, group(ids), [v - one.position[0], 0])), { unit: "m" }),
      field("y", one.position[1], (v) => edit((d) => moveBodies(d, group(ids), [0, v - one.position[1]])), { unit: "m" }),
      field("angle", degreesOf(one.rotation), (v) => edit((d) => rotateBodies(d, group(ids), radiansOf(v) - (one.rotation || 0), one.position)), { unit: "°", digits: 2 }));
    if (one.shape === "circle") list.push(field("radius", one.radius, (v) => edit((d) => scaleBody(d, one.id, [v / one.radius, 1], [0, 0])), { unit: "m", min: MIN_SIZE / 2, max: 10 }));
    else {
      const [l, b, r, t] = localBox(one), sized = (sx, sy) => edit((d) => scaleBody(d, one.id, [sx, sy], [0, 0]));
      list.push(field("width", r - l, (v) => sized(v / (r - l), 1), { unit: "m", min: MIN_SIZE, max: 10 }), field("height", t - b, (v) => sized(1, v / (t - b)), { unit: "m", min: MIN_SIZE, max: 10 }));
    }
  }
  const role = common(bodies.map((b) => b.role || "none")), fixed = common(bodies.map((b) => b.static === true));
  list.push(pick("role", role, ROLES.map((name) => [name, ROLE_WORDS[name]]), (v) => change((b) => giveRole(b, v))),
    check("static: never moves", fixed, (v) => change((b) => setStatic(b, v))),
    number_("density", "density", 1, { unit: "kg/m²", min: 0.001, max: 1e4 }), number_("friction", "friction", 1, { min: 0, max: 100 }),
    number_("restitution", "restitution", 0, { min: 0, max: 1, title: "ratio of velocities after and before a bounce" }));
  if (role === "blue") {
    const whole = (label, name, options) => field(label, common(bodies.map((b) => b[name] ?? 1)), (value) => change((b) => setOr(b, name, Math.round(value), 1)), { min: 1, digits: 0, ...options });
    list.push(whole("goal", "goal", { max: 99, title: "green must touch the goals in the order of their numbers; of goals with one number, any will do" }),
      whole("touch for", "hold", { max: 10000, unit: "/60 s", title: "physics steps in a row for which green must touch it" }));
  }
  const chosenSwitch = (name) => { const value = common(bodies.map((b) => b[name] || 0)); return value === null ? null : String(value); };
  list.push(pick("sensor", chosenSwitch("sensor"), switchWords("no", "turns on switch"), (v) => change((b) => setOr(b, "sensor", Number(v), 0))));
  if (!fixed) list.push(pick("held", chosenSwitch("waits_for"), switchWords("no", "until switch"), (v) => change((b) => setOr(b, "waits_for", Number(v), 0))));
  if (one && !one.static) list.push(note(`mass ${round(areaOf(one) * (one.density ?? 1)).toPrecision(3)} kg`),
    ...[0, 1].map((axis) => field(`velocity ${"xy"[axis]}`, (one.velocity || [0, 0])[axis], (v) => change((b) => { const w = [...(b.velocity || [0, 0])]; w[axis] = v; setPoint(b, "velocity", w); }), { unit: "m/s", min: -100, max: 100 })),
    field("spin", degreesOf(one.angular_velocity), (v) => change((b) => setOr(b, "angular_velocity", radiansOf(v), 0)), { unit: "°/s", min: -2800, max: 2800, digits: 2 }));
  list.push(pick("collides", String(common(bodies.map((b) => b.collision_mode ?? 1)) ?? "") || null, [["1", "with other shapes"], ["2", "with everything"], ["0", "only with what collides with everything"]], (v) => change((b) => setOr(b, "collision_mode", Number(v), 1))));
  return list;
}
// Switches to choose from, and none.
const switchWords = (none_, some_) => [["0", none_], ...Array.from({ length: SWITCHES }, (_, i) => [String(i + 1), `${some_} ${i + 1}`])];
function setStatic(body, value) {
  freshMass(body);
  setOr(body, "static", value, false);
  if (value) { delete body.velocity; delete body.angular_velocity; delete body.waits_for; }
}
function jointFields(i) {
  const joint = doc.joints[i], point = jointPoint(doc, joint), size = sizeOf(doc);
  const change = (act) => edit((draft) => act(draft.joints[i]));
  const list = [note(`${joint.a} – ${joint.b}`), pick("kind", joint.weld ? "weld" : "revolute", [["revolute", "revolute: turns"], ["weld", "weld: rigid"]], (v) => change((j) => { setOr(j, "weld", v === "weld", false); if (j.weld) { turnMotor(j, false); delete j.motor_auto; } })),
    ...[0, 1].map((axis) => field("xy"[axis], point[axis], (v) => edit((draft) => { const p = [...point]; p[axis] = v; placeAnchor(draft, p); }), { unit: "m" }))];
  if (joint.weld) return list;
  list.push(check("motor", joint.motor_on === true, (v) => change((j) => turnMotor(j, v))));
  if (joint.motor_on) list.push(
    pick("binding", String(joint.motor_binding || 0), Array.from({ length: size.motor_bindings }, (_, b) => [String(b), `${b}: keys ${["← →", "↑ ↓", "A D", "W S"][b] || "none"}`]), (v) => change((j) => setOr(j, "motor_binding", Number(v), 0))),
    check("runs by itself", joint.motor_auto === true, (v) => change((j) => setOr(j, "motor_auto", v, false))),
    field("speed", joint.motor_speed ?? 1, (v) => change((j) => setOr(j, "motor_speed", v, 1)), { unit: "× 6 rad/s", min: -100, max: 100 }),
    field("power", joint.motor_power ?? 1, (v) => change((j) => setOr(j, "motor_power", v, 1)), { min: 0, max: 1000 }),
    pick("off", String(joint.waits_for || 0), switchWords("no", "until switch"), (v) => change((j) => setOr(j, "waits_for", Number(v), 0))));
  const limited = joint.limits_on ?? Boolean(joint.limits);
  list.push(check("limits", limited, (v) => change((j) => { if (v) j.limits ??= [round(-Math.PI / 4), round(Math.PI / 4)]; else delete j.limits; delete j.limits_on; })));
  if (limited) list.push(...[0, 1].map((side) => field(side ? "most" : "least", degreesOf(joint.limits[side]), (v) => { const next = [...joint.limits]; next[side] = radiansOf(v); return next[0] <= next[1] && change((j) => { j.limits = next; }); }, { unit: "°", digits: 2, title: "turn of the second shape about the first, counter-clockwise from the start" })));
  return list;
}
function thrusterFields(i) {
  const thruster = doc.thrusters[i], point = thrusterPoint(doc, thruster), turnedBy = bodyOf(doc, thruster.body).rotation || 0;
  const change = (act) => edit((draft) => act(draft.thrusters[i]));
  return [note(`on ${thruster.body}`),
    ...[0, 1].map((axis) => field("xy"[axis], point[axis], (v) => edit((draft) => { const p = [...point]; p[axis] = v; placeAnchor(draft, p); }), { unit: "m" })),
    field("pushes along", degreesOf(thrusterAngle(doc, thruster)), (v) => change((t) => setOr(t, "direction", normalAngle(v * HALF - turnedBy), 0)), { unit: "°", digits: 2 }),
    field("power", thruster.power ?? 1, (v) => change((t) => setOr(t, "power", v, 1)), { unit: "× 10 N", min: 0, max: 1000 }),
    pick("binding", String(thruster.thruster_binding || 0), Array.from({ length: sizeOf(doc).thruster_bindings }, (_, b) => [String(b), `${b}: key ${b + 1}`]), (v) => change((t) => setOr(t, "thruster_binding", Number(v), 0))),
    pick("off", String(thruster.waits_for || 0), switchWords("no", "until switch"), (v) => change((t) => setOr(t, "waits_for", Number(v), 0)))];
}

function setSize(size) {
  return edit((draft) => { if (!fits(draft, size)) return false; compact(draft); draft.size = size; if (draft.agents) setAgents(draft, () => {}); });
}
function levelFields() {
  const size = sizeOf(doc), left = free(doc), named = typeof doc.size === "string" ? doc.size : "own";
  const list = [pick("size", named, [...Object.keys(SIZES).map((name) => [name, fits(doc, name) ? name : `${name}: too small`, !fits(doc, name)]), ["own", "own counts"]], (v) => setSize(v === "own" ? Object.fromEntries(Object.keys(COUNTS).map((count) => [count, size[count]])) : v)),
    note(`room for ${left.polygons} more boxes or polygons, ${left.circles} circles, ${left.joints} joints, ${left.thrusters} thrusters`)];
  if (named === "own") list.push(...Object.keys(COUNTS).filter((count) => count !== "walls").map((count) => field(count.replace("_", " "), size[count], (v) => setSize({ ...doc.size, [count]: Math.round(v) }), { min: count === "max_vertices" ? 3 : 0, max: 64, digits: 0 })));
  list.push(...[0, 1].map((axis) => field(`gravity ${"xy"[axis]}`, doc.gravity[axis], (v) => edit((d) => { d.gravity[axis] = v; }), { unit: "m/s²", min: -1000, max: 1000 })));
  if (doc.walls !== "listed" && size.walls) {
    const walls = typeof doc.walls === "object" ? doc.walls : { room: doc.walls || "standard" };
    const change = (act) => edit((draft) => {
      const next = clone(walls);
      act(next);
      if (next.roles && !Object.keys(next.roles).length) delete next.roles;
      draft.walls = Object.keys(next).length === 1 ? next.room : next;
    });
    for (const { id } of wallsOf(doc)) list.push(pick(id, (walls.roles || {})[id] || "none", ROLES.map((name) => [name, ROLE_WORDS[name]]), (v) => change((next) => { next.roles ??= {}; setOr(next.roles, id, v, "none"); })));
    list.push(field("walls' friction", walls.friction ?? 1, (v) => change((next) => setOr(next, "friction", v, 1)), { min: 0, max: 100 }), field("walls' restitution", walls.restitution ?? 0, (v) => change((next) => setOr(next, "restitution", v, 0)), { min: 0, max: 1 }));
  }
  const used = { motors: doc.joints.filter((joint) => joint.motor_on && !joint.motor_auto).map((joint) => joint.motor_binding || 0), thrusters: doc.thrusters.map((thruster) => thruster.thruster_binding || 0) };
  for (const [kind, bindings] of Object.entries(used)) for (const b of [...new Set(bindings)].sort())
    list.push(pick(`${kind.slice(0, -1)} ${b}`, String(((doc.agents || {})[kind] || [])[b] || 0), [["0", "agent a"], ["1", "agent b"]], (v) => edit((d) => setAgents(d, (agents) => { agents[kind][b] = Number(v); }))));
  if (doc.agents) list.push(check("agents are opposed", doc.agents.opposed === true, (v) => edit((d) => setAgents(d, (agents) => { agents.opposed = v; }))));
  const say_ = (name) => (value) => edit((draft) => { if (value) draft[name] = value; else delete draft[name]; });
  list.push(words("title", doc.name, say_("name")), words("author", doc.author, say_("author")), words("description", doc.description, say_("description"), true));
  return list;
}

function thingList() {
  const row = (label, some) => {
    const button = element("button", has(some) && !isNothing(some) ? "thing on" : "thing", label);
    button.setAttribute("aria-pressed", has(some));
    button.addEventListener("click", (event) => (event.shiftKey || event.ctrlKey || event.metaKey ? toggle(some) : choose_(some)));
    return button;
  };
  const letter = { none: "", green: " G", blue: " B", red: " R" };
  return [...doc.bodies.map((body) => row(`${body.id}${letter[body.role || "none"]}${body.role === "blue" && body.goal || ""}${body.static ? " static" : ""}`, { ...none(), bodies: [body.id] })),
    ...doc.joints.map((joint, i) => row(`${joint.weld ? "weld" : joint.motor_on ? "motor" : "revolute"} ${i + 1}`, { ...none(), joints: [i] })),
    ...doc.thrusters.map((thruster, i) => row(`thruster ${i + 1}`, { ...none(), thrusters: [i] }))];
}
function showPanel() {
  const ids = chosen.bodies, single = chosen.joints.length + chosen.thrusters.length === 1 && !ids.length;
  let title = "Level", list;
  if (isNothing()) list = levelFields();
  else if (ids.length) {
    title = ids.length === 1 ? ids[0] : `${ids.length} shapes`;
    list = isFixed(doc, bodyOf(doc, ids[0])) ? [note("a wall of the file's own: it stays as it is")] : bodyFields(movable());
  } else if (single) [title, list] = chosen.joints.length ? [`joint ${chosen.joints[0] + 1}`, jointFields(chosen.joints[0])] : [`thruster ${chosen.thrusters[0] + 1}`, thrusterFields(chosen.thrusters[0])];
  else { title = `${chosen.joints.length} joints, ${chosen.thrusters.length} thrusters`; list = [note("choose one of them to change it")]; }
  $("panel-title").textContent = title;
  $("fields").replaceChildren(...list);
  $("things").replaceChildren(...thingList());
}
