// Moves a picture that kinetix_py/rendering/svg.py drew: 100 units per meter, the second axis points down.
const ROOM = 500, UNITS = 100;
const short = (x) => String(Math.round(x * 100) / 100 || 0);

// The parts of a picture that move, with those of the given bodies in the order of these.
function movingParts(picture, bodies) {
  const all = (selector) => [...picture.querySelectorAll(selector)];
  return { bodies: bodies.map((body) => ({ frames: all(`[data-body="${body}"]`), texts: all(`[data-text="${body}"]`) })),
    goals: all("[data-goal]"), sensors: all("[data-sensor]"), locks: all("[data-lock]"), contacts: picture.querySelector(".contacts"), turns: all("[data-turn]"), flames: all("[data-flame]") };
}

// at(i) is where the i-th body is: [x in m, y in m, rotation in rad].
function placeBodies(parts, at) {
  parts.bodies.forEach((body, i) => {
    const [x, y, rotation] = at(i), turn = rotation * 180 / Math.PI;
    const where = `translate(${short(x * UNITS)} ${short(ROOM - y * UNITS)}) rotate(${short(-turn)})`;
    for (const part of body.frames) part.setAttribute("transform", where);
    for (const text of body.texts)
      text.setAttribute("transform", `${where} translate(${text.dataset.x} ${text.dataset.y}) rotate(${short(turn)})`);
  });
}

// Goals are dashed until it is their turn, and faded when they were reached; `now` is the number of the current one.
function showGoals(parts, now) {
  for (const goal of parts.goals) {
    goal.setAttribute("stroke-dasharray", +goal.dataset.goal > now ? "9 6" : "none");
    goal.setAttribute("opacity", +goal.dataset.goal < now ? 0.35 : 1);
  }
}

// Sensors fade and locks go when their switch is on; `on` tells of each switch, from number 1, whether it is.
function showSwitches(parts, on) {
  for (const sensor of parts.sensors) sensor.setAttribute("opacity", on[sensor.dataset.sensor - 1] ? 0.35 : 1);
  for (const lock of parts.locks) lock.setAttribute("visibility", on[lock.dataset.lock - 1] ? "hidden" : "visible");
}

// Points [x, y] in m where shapes touch.
function markContacts(parts, points) {
  const spot = ([x, y]) => `${short(x * UNITS)} ${short(ROOM - y * UNITS)}`;
  parts.contacts.innerHTML = points.map((point) =>
    `<path d="M0,-6L6,0L0,6L-6,0Z" transform="translate(${spot(point)})"/>`).join("");
}

// Rings about bodies: the weight of each in 0 .. 1 as the width of its ring, and in percent. Those whose center
// is outside of the room, such as walls, have it at the edge.
function ringBodies(picture, places, weights) {
  let rings = picture.querySelector(".rings");
  if (!rings) {
    rings = document.createElementNS("http://www.w3.org/2000/svg", "g");
    rings.setAttribute("class", "rings");
    picture.append(rings);
  }
  const inside = (x) => Math.min(Math.max(x, 0.25), 4.7);
  rings.innerHTML = weights.map((weight, i) => {
    if (weight < 0.005) return "";
    const x = short(inside(places[i][0]) * UNITS), y = short(ROOM - inside(places[i][1]) * UNITS);
    const radius = 15 + 5 * weight;
    return `<circle cx="${x}" cy="${y}" r="${short(radius)}" stroke-width="${short(1.5 + 6 * weight)}"/><text x="${short(+x + 0.8 * radius)}" y="${short(+y - 0.8 * radius)}">${Math.round(100 * weight)}</text>`;
  }).join("");
}

// control(k) is what joint k does in -1 .. 1, or, from k = joints on, a thruster in 0 .. 1.
function showControls(parts, joints, control) {
  for (const arrow of parts.turns) {
    const v = control(+arrow.dataset.turn) * (arrow.dataset.sign || 1);
    arrow.setAttribute("visibility", v ? "visible" : "hidden");
    arrow.setAttribute("transform", v < 0 ? "scale(-1 1)" : "scale(1 1)");
  }
  for (const flame of parts.flames) {
    const v = control(joints + +flame.dataset.flame);
    flame.setAttribute("visibility", v ? "visible" : "hidden");
    flame.setAttribute("transform", `translate(-15 0) scale(${short(v)} 1)`);
  }
}
