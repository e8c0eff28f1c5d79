// What the pointer does: choosing, dragging, drawing. A gesture has move(point, event), end(event) and cancel().
let gesture = null, polygon = null;  // polygon: corners so far
const TOOLS = {
  select: ["Select", "V", "click or drag to choose, drag to move, handles to resize and turn"],
  box: ["Box", "B", "drag from corner to corner"], wall: ["Wall", "N", "drag from corner to corner: a box that never moves"], circle: ["Circle", "C", "drag from the center outward"],
  polygon: ["Polygon", "P", "click 3 or more corners; Enter or the first corner closes it"],
  revolute: ["Revolute", "J", "click where two shapes overlap, or drag from one to the other"],
  weld: ["Weld", "W", "click where two shapes overlap, or drag from one to the other"],
  thruster: ["Thruster", "T", "press on a shape and drag the way it pushes"],
};

function where(event) {
  const box = $("overlay").getBoundingClientRect();
  return [SIDE_M * (event.clientX - box.left) / box.width, SIDE_M * (1 - (event.clientY - box.top) / box.height)];
}
const reach = (pixels = 8) => pixels * px() / UNITS;
const snapping = (event) => ({ grid: settings.snap && !event.altKey ? settings.grid : 0, reach: event.altKey ? -1 : reach() });
const scenery = (without = []) => doc.bodies.filter((body) => !without.includes(body.id));
const bodiesAt = (point) => [...wallsOf(doc), ...doc.bodies.filter((b) => b.shape !== "circle"), ...doc.bodies.filter((b) => b.shape === "circle")].filter((body) => contains(body, point));

// The topmost thing at a point: joints and thrusters are over bodies.
function thingAt(point) {
  const near = (list, place) => list.findLastIndex((row) => distance(place(doc, row), point) < Math.max(reach(10), 0.06));
  const joint = near(doc.joints, jointPoint);
  if (joint >= 0) return { joints: [joint] };
  const thruster = near(doc.thrusters, (level, row) => add(thrusterPoint(level, row), turned([-0.08, 0], thrusterAngle(level, row))));
  if (thruster >= 0) return { thrusters: [thruster] };
  const body = bodiesAt(point).findLast((one) => !one.wall);
  return body ? { bodies: [body.id] } : null;
}
const has = (some) => Object.entries(some).every(([kind, list]) => list.every((one) => chosen[kind].includes(one)));
function toggle(some) {
  const next = clone(chosen);
  for (const [kind, list] of Object.entries(some)) for (const one of list) next[kind] = next[kind].includes(one) ? next[kind].filter((other) => other !== one) : [...next[kind], one];
  choose_(next);
}

// What the parts of a picture look like, wherever their bodies are.
const look = (level) => JSON.stringify([level.bodies.map(shapeOf), level.joints, level.thrusters]);

// A drag that shows change(draft, point, event) of the level as it was, and at its end makes it a version.
function dragging(change, choose = null) {
  let last = null, drawnLook = look(doc);
  const preview = (point, event) => {
    const draft = clone(doc);
    if (change(draft, point, event) === false) { showOverlay(); return; }
    show(draft);
    last = draft;
    const newLook = look(draft);
    if (newLook !== drawnLook) { drawnLook = newLook; requestPicture(false, draft); }  // bodies that only move need no new picture
  };
  return { move: preview,
    end() { guides = []; ghost = null; if (last) { const final = last; edit((draft) => { Object.assign(draft, final); }, choose); } else { show(doc); requestPicture(false); } },
    cancel() { guides = []; ghost = null; show(doc); requestPicture(false); } };
}

function startMove(start) {
  const ids = group();
  if (ids.length) {
    const moving = doc.bodies.filter((body) => ids.includes(body.id));
    return dragging((draft, point, event) => {
      const snap = snapShift(moving, scenery(ids), minus(point, start), snapping(event));
      guides = snap.guides;
      moveBodies(draft, ids, snap.shift);
    });
  }
  if (chosen.joints.length + chosen.thrusters.length !== 1) return null;
  return dragging((draft, point, event) => {
    const snap = snapPoint(point, doc.bodies, snapping(event));
    guides = snap.guides;
    return placeAnchor(draft, snap.point);
  });
}
// Puts the only chosen joint or thruster to a point of the room.
function placeAnchor(draft, point) {
  for (const i of chosen.joints) {
    const joint = draft.joints[i];
    setPoint(joint, "anchor_a", toLocal(bodyOf(draft, joint.a), point));
    setPoint(joint, "anchor_b", toLocal(bodyOf(draft, joint.b), point));
  }
  for (const i of chosen.thrusters) setPoint(draft.thrusters[i], "anchor", toLocal(bodyOf(draft, draft.thrusters[i].body), point));
}
function startHandle(handle) {
  const body = bodyOf(doc, handle.id);
  if (handle.kind === "turn") return dragging((draft, point, event) => {
    const way = minus(point, body.position), angle = Math.atan2(way[1], way[0]) - Math.PI / 2;
    const ids = settings.together ? linked(doc, [handle.id]) : [handle.id];
    rotateBodies(draft, ids, snapAngle(angle, event.altKey) - (body.rotation || 0), body.position);
  });
  if (handle.kind === "radius") return dragging((draft, point, event) => {
    const { grid } = snapping(event), radius = distance(point, body.position);
    return scaleBody(draft, handle.id, [(grid ? Math.max(Math.round(radius / grid * 2) / 2 * grid, grid / 2) : radius) / body.radius, 1], [0, 0]);
  });
  if (handle.kind === "corner") return dragging((draft, point, event) => {
    const snap = snapPoint(point, scenery([handle.id]), snapping(event)), points = worldPoints(body);
    points[handle.index] = snap.point;
    const good = changeCorners(draft, handle.id, points);
    ghost = { good, path: `M${points.map(at).join("L")}Z`, label: snap.point, words: good ? "" : "not convex" };
    guides = snap.guides;
    return good;
  });
  return dragging((draft, point, event) => {
    const { grid } = snapping(event), local = toLocal(body, point);
    const scale = [handle.sx, handle.sy].map((side, axis) => {
      if (!side) return 1;
      const before = handle.own[axis] - handle.fixed[axis], raw = Math.max((local[axis] - handle.fixed[axis]) * side, MIN_SIZE);
      return (grid ? Math.max(Math.round(raw / grid) * grid, MIN_SIZE) : raw) / Math.abs(before);
    });
    return scaleBody(draft, handle.id, event.shiftKey && handle.sx && handle.sy ? [Math.max(...scale), Math.max(...scale)] : scale, handle.fixed);
  });
}
function startMarquee(start, event) {
  const before = event.shiftKey || settings.several ? clone(chosen) : none();
  return { move(point) { marquee = [start, point]; showOverlay(); },
    end() {
      const box = marquee;
      marquee = null;
      if (!box) { choose_(before); return; }
      const [l, r] = [box[0][0], box[1][0]].sort((a, b) => a - b), [b, t] = [box[0][1], box[1][1]].sort((a, c) => a - c);
      const inside = (p) => p[0] >= l && p[0] <= r && p[1] >= b && p[1] <= t;
      const touched = (body) => { const [x0, y0, x1, y1] = bounds([body]); return x0 <= r && x1 >= l && y0 <= t && y1 >= b; };
      const indices = (list, placeOf) => list.map((row, i) => (inside(placeOf(doc, row)) ? i : -1)).filter((i) => i >= 0);
      choose_({ bodies: [...new Set([...before.bodies, ...doc.bodies.filter(touched).map((body) => body.id)])],
        joints: [...new Set([...before.joints, ...indices(doc.joints, jointPoint)])], thrusters: [...new Set([...before.thrusters, ...indices(doc.thrusters, thrusterPoint)])] });
    },
    cancel() { marquee = null; showOverlay(); } };
}

// Drawing: what is missing for one more of a kind is said, not silent.
function lacks(kind) {
  if (free(doc)[kind] > 0) return false;
  say(`no ${kind} left in this size: choose a larger one (Level, size)`, true);
  return true;
}
function addBody(body) {
  const id = newId(doc, body.shape);
  setTool("select");
  edit((draft) => { compact(draft); draft.bodies.push({ id, ...body }); }, { ...none(), bodies: [id] });
}
function startBox(start, event, fixed = {}) {
  if (lacks("polygons")) return null;
  const from = snapPoint(start, doc.bodies, snapping(event)).point;
  let body = { shape: "box", size: [0.5, 0.5], position: from, ...fixed };
  return { move(point, now_) {
      const snap = snapPoint(point, doc.bodies, snapping(now_)), to = snap.point, size = [Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])];
      if (now_.shiftKey) size[0] = size[1] = Math.max(...size);
      if (Math.max(...size) < 0.03) return;
      body = { shape: "box", size: roundPoint(size.map((x) => Math.max(x, MIN_SIZE))), position: roundPoint([from[0] + Math.sign(to[0] - from[0] || 1) * Math.max(size[0], MIN_SIZE) / 2, from[1] + Math.sign(to[1] - from[1] || 1) * Math.max(size[1], MIN_SIZE) / 2]), ...fixed };
      guides = snap.guides;
      ghost = { good: true, path: shapePath(body), label: to, words: `${body.size[0].toFixed(2)} m x ${body.size[1].toFixed(2)} m` };
      showOverlay();
    },
    end() { guides = []; ghost = null; addBody(body); }, cancel: cancelGhost };
}
function startCircle(start, event) {
  if (lacks("circles")) return null;
  const position = snapPoint(start, doc.bodies, snapping(event)).point;
  let body = { shape: "circle", radius: 0.25, position };
  return { move(point, now_) {
      const { grid } = snapping(now_), raw = distance(point, position), radius = grid ? Math.round(raw / grid * 2) / 2 * grid : raw;
      if (radius < MIN_SIZE / 2) return;
      body = { shape: "circle", radius: round(radius), position };
      ghost = { good: true, path: shapePath(body), label: point, words: `radius ${body.radius.toFixed(2)} m` };
      showOverlay();
    },
    end() { ghost = null; addBody(body); }, cancel: cancelGhost };
}
function cancelGhost() { guides = []; ghost = null; polygon = null; showOverlay(); }

function clickPolygon(start, event) {
  const snap = snapPoint(start, doc.bodies, snapping(event)), most = sizeOf(doc).max_vertices;
  if (!polygon) { if (lacks("polygons")) return null; polygon = [snap.point]; showPolygon(snap.point); return null; }
  if (distance(start, polygon[0]) < reach(12) && polygon.length > 2) { closePolygon(); return null; }
  const next = [...polygon, snap.point];
  if (next.length > 2 && !isConvex(clockwise(next))) { say("not convex: shapes bulge outward everywhere", true); return null; }
  polygon = next;
  if (polygon.length === most) closePolygon();
  else showPolygon(snap.point);
  return null;
}
function showPolygon(point) {
  const points = polygon.length && distance(point, polygon.at(-1)) > 0.01 ? [...polygon, point] : polygon;
  const good = points.length < 3 || isConvex(clockwise(points));
  ghost = { good, path: `M${points.map(at).join("L")}${points.length > 2 ? "Z" : ""}`, label: point,
    words: good ? `corner ${points.length} of ${sizeOf(doc).max_vertices}` : "not convex" };
  showOverlay();
}
function closePolygon() {
  const points = polygon, body = { rotation: 0 };
  cancelGhost();
  if (!points || points.length < 3 || !setCorners(body, points)) { say("a polygon needs 3 corners", true); return; }
  const { shape, vertices, position } = body;
  addBody({ shape, vertices, position });
}

function addJoint(weld, a, b, point) {
  if (lacks("joints")) return;
  const joint = { a: a.id, b: b.id, ...(weld ? { weld: true } : {}) }, index = doc.joints.length;
  setTool("select");
  edit((draft) => {
    compact(draft);
    setPoint(joint, "anchor_a", toLocal(a, point));
    setPoint(joint, "anchor_b", toLocal(b, point));
    draft.joints.push(joint);
  }, { ...none(), joints: [index] });
}
function startJoint(weld, start, event) {
  const point = snapPoint(start, doc.bodies, snapping(event)).point;
  const found = bodiesAt(point).length ? bodiesAt(point) : bodiesAt(start);
  return { move(now_) { ghost = { good: true, path: `M${at(point)}L${at(now_)}`, label: now_, words: "to the other shape" }; showOverlay(); this.to = now_; },
    end() {
      const there = this.to ? bodiesAt(this.to).findLast((body) => body !== found.at(-1)) : null, first = found.at(-1);
      cancelGhost();
      if (first && there && distance(this.to, point) > 0.05 && !found.includes(there)) addJoint(weld, there, first, point);
      else if (found.length > 1) addJoint(weld, found.at(-2), first, point);
      else say("a joint needs two shapes: click where they overlap, or drag from one to the other", true);
    }, cancel: cancelGhost };
}
function startThruster(start, event) {
  const body = bodiesAt(start).findLast((one) => !one.wall);
  if (!body) { say("a thruster needs a shape under it", true); return null; }
  if (lacks("thrusters")) return null;
  const point = snapPoint(start, [body], snapping(event)).point;
  let angle = Math.PI / 2;
  return { move(now_, event_) {
      if (distance(now_, point) > reach()) { const way = minus(now_, point); angle = snapAngle(Math.atan2(way[1], way[0]), event_.altKey); }
      ghost = { good: true, path: `M${at(point)}L${at(add(point, turned([0.5, 0], angle)))}`, label: now_, words: `pushes along ${degrees(angle)}°` };
      showOverlay();
    },
    end() { ghost = null; addThruster(body, point, angle); }, cancel: cancelGhost };
}
function addThruster(body, point, angle) {
  const thruster = { body: body.id }, index = doc.thrusters.length;
  setTool("select");
  edit((draft) => {
    compact(draft);
    setPoint(thruster, "anchor", toLocal(body, point));
    setOr(thruster, "direction", normalAngle(angle - (body.rotation || 0)), 0);
    draft.thrusters.push(thruster);
  }, { ...none(), thrusters: [index] });
}

const STARTS = { box: startBox, wall: (p, e) => startBox(p, e, { static: true }), circle: startCircle, polygon: clickPolygon, revolute: (p, e) => startJoint(false, p, e), weld: (p, e) => startJoint(true, p, e), thruster: startThruster };
function startSelect(point, event) {
  const handle = handles().findLast((one) => distance(one.point, point) < reach(event.pointerType === "touch" ? 18 : 9));
  if (handle) return startHandle(handle);
  const thing = thingAt(point);
  if (!thing) return startMarquee(point, event);
  if (event.shiftKey || settings.several) { toggle(thing); return null; }
  if (!has(thing)) choose_(thing);
  return startMove(point);
}
function listenToPointer() {
  const overlay = $("overlay");
  overlay.addEventListener("pointerdown", (event) => {
    if (event.button || gesture) return;
    event.preventDefault();
    document.activeElement?.blur();
    overlay.setPointerCapture(event.pointerId);
    const point = where(event), start = mode === "trial" ? startPull(point, event) : tool === "select" ? startSelect(point, event) : STARTS[tool](point, event);
    gesture = start && { ...start, pointer: event.pointerId, begun: [event.clientX, event.clientY] };
  });
  overlay.addEventListener("pointermove", (event) => {
    if (gesture && gesture.pointer === event.pointerId) {
      if (gesture.begun && Math.hypot(event.clientX - gesture.begun[0], event.clientY - gesture.begun[1]) < 3) return;
      gesture.begun = null;
      gesture.move(where(event), event);
    } else if (polygon) showPolygon(snapPoint(where(event), doc.bodies, snapping(event)).point);
  });
  overlay.addEventListener("pointerup", (event) => { if (gesture && gesture.pointer === event.pointerId) { const done = gesture; gesture = null; done.end(event); } });
  overlay.addEventListener("pointercancel", cancelGesture);
}
function cancelGesture() {
  if (gesture) { const done = gesture; gesture = null; done.cancel(); return true; }
  if (polygon) { cancelGhost(); return true; }
  return false;
}
function setTool(name) {
  polygon = null;
  tool = name;
  $("hint").textContent = TOOLS[name][2];
  for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === name);
  showOverlay();
}
