// The picture of the level, moved at once and drawn anew by the server, and over it what only the editor shows.
let drawn = null;  // the picture on the screen: its bodies by id, and the level that it is of
let ghost = null, guides = [], marquee = null;  // shape in the making, lines that something snaps to, frame of a choice
const shapeOf = (body) => JSON.stringify([body.shape, body.size, body.vertices, body.radius]);

function takePicture(picture, level) {
  const index = slots(level).bodies, ids = Object.keys(index);
  $("room").innerHTML = picture;
  drawn = { ids, shapes: Object.fromEntries(level.bodies.map((body) => [body.id, shapeOf(body)])), parts: movingParts($("room"), ids.map((id) => index[id])) };
  place();
}
function place() {
  if (!drawn || mode !== "edit") return;
  const at = drawn.ids.map((id) => bodyOf(shown, id));
  placeBodies(drawn.parts, (i) => (at[i] ? [...at[i].position, at[i].rotation || 0] : [-99, -99, 0]));
}
function show(level) {
  shown = level;
  if (mode !== "edit") return;
  place();
  showOverlay();
}

const px = () => 500 / ($("overlay").clientWidth || 500);  // units of the picture in a pixel
const at = ([x, y]) => `${short(x * UNITS)},${short(ROOM - y * UNITS)}`;
const shapePath = (body) => {
  if (body.shape === "circle") {
    const r = short(body.radius * UNITS), [x, y] = at(body.position).split(",").map(Number);
    return `M${short(x - r)},${y}a${r},${r} 0 1 0 ${short(2 * r)},0a${r},${r} 0 1 0 ${short(-2 * r)},0Z`;
  }
  return `M${worldPoints(body).map(at).join("L")}Z`;
};

// Handles of the only chosen body: { kind, point, ... } in the room.
function handles() {
  const id = onlyBody(), body = id && bodyOf(shown, id);
  if (!body || isFixed(shown, body)) return [];
  const list = [], box = localBox(body), up = 26 * px() / UNITS;
  const local = (p) => toWorld(body, p);
  list.push({ kind: "turn", id, point: local([0, box[3] + up]), from: local([0, box[3]]) });
  if (body.shape === "circle") {
    for (const p of [[1, 0], [0, -1], [-1, 0]]) list.push({ kind: "radius", id, point: local(times(p, body.radius)) });
    return list;
  }
  if (body.shape === "polygon") body.vertices.forEach((p, index) => list.push({ kind: "corner", id, index, point: local(p) }));
  // Handles in the middle of a short side would cover those at its ends.
  const isShort = [box[2] - box[0], box[3] - box[1]].map((side) => side * UNITS < 30 * px());
  for (const sx of [-1, 0, 1]) for (const sy of [-1, 0, 1]) {
    if (body.shape === "box" && (!sx && isShort[0] || !sy && isShort[1])) continue;
    if (!sx && !sy || body.shape === "polygon" && sx && sy) continue;
    const own = [sx < 0 ? box[0] : sx ? box[2] : (box[0] + box[2]) / 2, sy < 0 ? box[1] : sy ? box[3] : (box[1] + box[3]) / 2];
    const fixed = [sx < 0 ? box[2] : sx ? box[0] : own[0], sy < 0 ? box[3] : sy ? box[1] : own[1]];
    list.push({ kind: "size", id, sx, sy, own, fixed, point: local(own) });
  }
  return list;
}
const localBox = (body) => bounds([{ ...body, position: [0, 0], rotation: 0 }]);

function showOverlay() {
  const unit = px(), out = [], bad = badThings();
  const line = (css, d) => out.push(`<path class="${css}" d="${d}" stroke-width="${short(2 * unit)}"/>`);
  if (mode === "edit" && shown) {
    if (settings.snap && settings.grid >= 0.05) out.push(gridLines());
    for (const body of shown.bodies) {
      if (!drawn || drawn.shapes[body.id] !== shapeOf(body)) line("sketch", shapePath(body));
      if (bad.bodies.has(body.id)) { line("problem", shapePath(body)); out.push(sign(body.position, unit)); }
    }
    for (const wall of wallsOf(shown)) if (bad.bodies.has(wall.id)) line("problem", shapePath(wall));
    for (const i of bad.joints) if (shown.joints[i]) out.push(sign(jointPoint(shown, shown.joints[i]), unit));
    for (const i of bad.thrusters) if (shown.thrusters[i]) out.push(sign(thrusterPoint(shown, shown.thrusters[i]), unit));
    for (const id of chosen.bodies) { const body = bodyOf(shown, id); if (body) line("chosen", shapePath(body)); }
    const ring = (p) => out.push(`<circle class="chosen" cx="${at(p).split(",")[0]}" cy="${at(p).split(",")[1]}" r="${short(13 * unit)}" stroke-width="${short(2 * unit)}"/>`);
    for (const i of chosen.joints) if (shown.joints[i]) ring(jointPoint(shown, shown.joints[i]));
    for (const i of chosen.thrusters) if (shown.thrusters[i]) {
      const p = thrusterPoint(shown, shown.thrusters[i]);
      ring(p);
      line("push", `M${at(p)}L${at(add(p, turned([0.4, 0], thrusterAngle(shown, shown.thrusters[i]))))}`);
    }
    if (tool === "select") for (const handle of handles()) {
      const [x, y] = at(handle.point).split(",");
      if (handle.from) line("chosen", `M${at(handle.from)}L${at(handle.point)}`);
      out.push(handle.kind === "size"
        ? `<rect class="handle ${handle.kind}" x="${x - 5 * unit}" y="${y - 5 * unit}" width="${10 * unit}" height="${10 * unit}" stroke-width="${1.5 * unit}"/>`
        : `<circle class="handle ${handle.kind}" cx="${x}" cy="${y}" r="${6 * unit}" stroke-width="${1.5 * unit}"/>`);
    }
    if (ghost) {
      line(ghost.good ? "ghost" : "ghost bad", ghost.path);
      const [x, y] = at(ghost.label).split(",");
      out.push(`<text x="${+x + 12 * unit}" y="${+y - 12 * unit}" font-size="${13 * unit}" stroke-width="${4 * unit}">${ghost.words}</text>`);
    }
    for (const [axis, place] of guides) line("guide", axis ? `M0,${short(ROOM - place * UNITS)}H500` : `M${short(place * UNITS)},0V500`);
    if (marquee) line("marquee", `M${at(marquee[0])}L${at([marquee[1][0], marquee[0][1]])}L${at(marquee[1])}L${at([marquee[0][0], marquee[1][1]])}Z`);
  }
  $("overlay").innerHTML = out.join("");
}
function gridLines() {
  const lines = [], many = Math.round(SIDE_M / settings.grid);
  for (let i = 1; i < many; i++) lines.push(`M${short(i * settings.grid * UNITS)},0V500M0,${short(ROOM - i * settings.grid * UNITS)}H500`);
  return `<path class="grid" d="${lines.join("")}" stroke-width="${short(px() / 2)}"/>`;
}
// A problem has a sign, not only a color.
const sign = (point, unit) => {
  const [x, y] = at(point).split(",").map(Number);
  return `<g class="sign"><path d="M${x},${y - 20 * unit}l${9 * unit},${16 * unit}h${-18 * unit}Z" stroke-width="${1.5 * unit}"/><text x="${x}" y="${y - 6 * unit}" font-size="${11 * unit}" text-anchor="middle" stroke="none">!</text></g>`;
};

// The ids and indices of what has problems.
function badThings() {
  const found = { bodies: new Set(), joints: new Set(), thrusters: new Set() };
  if (!shown) return found;
  const all = slots(doc), ids = Object.fromEntries(Object.entries(all.bodies).map(([id, slot]) => [slot, id]));
  for (const problem of problems) {
    problem.bodies.forEach((slot) => found.bodies.add(ids[slot]));
    problem.joints.forEach((slot) => found.joints.add(all.joints.indexOf(slot)));
    problem.thrusters.forEach((slot) => found.thrusters.add(all.thrusters.indexOf(slot)));
  }
  return found;
}
function problemChoice(problem) {
  const all = slots(doc), ids = Object.fromEntries(Object.entries(all.bodies).map(([id, slot]) => [slot, id]));
  return { bodies: problem.bodies.map((slot) => ids[slot]).filter((id) => doc.bodies.some((body) => body.id === id)),
    joints: problem.joints.map((slot) => all.joints.indexOf(slot)), thrusters: problem.thrusters.map((slot) => all.thrusters.indexOf(slot)) };
}
function listProblems() {
  $("problems").replaceChildren(...problems.map((problem) => {
    const row = element("li"), button = element("button", "problem-row", `⚠ ${problem.kind}`);
    button.title = "choose what has the problem";
    button.addEventListener("click", () => choose_(problemChoice(problem)));
    row.append(button, element("span", "", ` ${problem.text}`));
    return row;
  }));
  $("no-problems").hidden = problems.length > 0;
}
addEventListener("resize", () => showOverlay());
