// Points [x, y] in m and angles in rad, counter-clockwise.
const FLOOR = 0.4, SIDE_M = 5, MIN_SIZE = 0.04, MIN_AREA = 1e-4;
const round = (x) => Math.round(x * 1e5) / 1e5 || 0;
const roundPoint = (p) => p.map(round);
const add = (a, b) => [a[0] + b[0], a[1] + b[1]];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1]];
const times = (a, s) => [a[0] * s, a[1] * s];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1];
const cross = (a, b) => a[0] * b[1] - a[1] * b[0];
const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
const turned = ([x, y], angle) => {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  return [cos * x - sin * y, sin * x + cos * y];
};
const degrees = (angle) => round(angle * 180 / Math.PI);
const radians = (angle) => round(angle * Math.PI / 180);
const normalAngle = (angle) => round(Math.atan2(Math.sin(angle), Math.cos(angle)));

const boxPoints = ([w, h]) => [[w / 2, h / 2], [w / 2, -h / 2], [-w / 2, -h / 2], [-w / 2, h / 2]];

// Signed area, above 0 where the corners run counter-clockwise, and center of mass of a polygon.
function areaAndCenter(points) {
  let area = 0, center = [0, 0];
  const origin = points[0];
  points.forEach((point, i) => {
    const a = minus(point, origin), b = minus(points[(i + 1) % points.length], origin), c = cross(a, b);
    area += c / 2;
    center = add(center, times(add(a, b), c / 6));
  });
  return { area, center: area ? add(origin, times(center, 1 / area)) : origin };
}

// Whether corners in clockwise order make a convex polygon that the engine takes.
function isConvex(points) {
  const count = points.length;
  if (count < 3 || areaAndCenter(points).area > -MIN_AREA) return false;
  let winding = 0;
  for (let i = 0; i < count; i++) {
    const edge = minus(points[(i + 1) % count], points[i]), next = minus(points[(i + 2) % count], points[(i + 1) % count]);
    const bend = cross(edge, next);
    if (bend > -1e-3 * Math.hypot(...edge) * Math.hypot(...next) || Math.hypot(...edge) < 0.01) return false;
    winding += Math.atan2(bend, dot(edge, next));
  }
  return Math.round(winding / (2 * Math.PI)) === -1;
}
const clockwise = (points) => (points.length > 2 && areaAndCenter(points).area > 0 ? [...points].reverse() : points);

const localPoints = (body) => (body.shape === "box" ? boxPoints(body.size) : body.shape === "polygon" ? body.vertices : null);
const toWorld = (body, point) => add(body.position, turned(point, body.rotation || 0));
const toLocal = (body, point) => turned(minus(point, body.position), -(body.rotation || 0));
const worldPoints = (body) => localPoints(body).map((point) => toWorld(body, point));

// Least and greatest coordinates of bodies: [left, bottom, right, top].
function bounds(bodies) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const body of bodies) {
    const r = body.shape === "circle" ? body.radius : 0;
    for (const [x, y] of r ? [body.position] : worldPoints(body)) {
      box[0] = Math.min(box[0], x - r); box[1] = Math.min(box[1], y - r);
      box[2] = Math.max(box[2], x + r); box[3] = Math.max(box[3], y + r);
    }
  }
  return box;
}
const middle = ([left, bottom, right, top]) => [(left + right) / 2, (bottom + top) / 2];

function contains(body, point) {
  if (body.shape === "circle") return distance(body.position, point) <= body.radius;
  const points = worldPoints(body);
  return points.every((corner, i) => cross(minus(points[(i + 1) % points.length], corner), minus(point, corner)) <= 0);
}

// The places of bodies that points snap to: centers, corners, middles of edges.
function spots(body) {
  if (body.shape === "circle") return [body.position];
  const points = worldPoints(body);
  return [body.position, ...points, ...points.map((point, i) => times(add(point, points[(i + 1) % points.length]), 0.5))];
}

// Snaps a number to the nearest of some, if that is near enough; null otherwise.
function nearest(value, choices, reach) {
  let best = null;
  for (const choice of choices) if (Math.abs(choice - value) <= reach && (best === null || Math.abs(choice - value) < Math.abs(best - value))) best = choice;
  return best;
}

// How far to shift bodies so that they snap, beyond a shift that the pointer asks for, and the lines that show why.
function snapShift(moving, others, shift, { grid, reach }) {
  const box = bounds(moving), [cx, cy] = moving.length === 1 ? moving[0].position : middle(box);
  const guides = [], result = [...shift];
  const edges = others.map((body) => [bounds([body]), body.position]);
  [[0, [box[0], cx, box[2]], [0, SIDE_M / 2, SIDE_M]], [1, [box[1], cy, box[3]], [FLOOR, SIDE_M / 2, SIDE_M]]].forEach(([axis, own, room]) => {
    const lines = [...room, ...edges.flatMap(([b, center]) => [b[axis], center[axis], b[axis + 2]])];
    let best = null;
    for (const place of own) {
      const line = nearest(place + shift[axis], lines, reach);
      if (line !== null && (best === null || Math.abs(line - place - shift[axis]) < Math.abs(best.by - shift[axis]))) best = { by: line - place, line };
    }
    if (best) { result[axis] = best.by; guides.push([axis, best.line]); }
    else if (grid) result[axis] = Math.round((own[1] + shift[axis]) / grid) * grid - own[1];
  });
  return { shift: result.map(round), guides };
}

// A point snapped to the places of bodies, else to a grid.
function snapPoint(point, bodies, { grid, reach }) {
  let best = null;
  for (const body of bodies) for (const spot of spots(body)) {
    const apart = distance(spot, point);
    if (apart <= reach && (!best || apart < best.apart)) best = { apart, spot };
  }
  if (best) return { point: roundPoint(best.spot), guides: [[0, best.spot[0]], [1, best.spot[1]]] };
  return { point: roundPoint(grid ? point.map((x) => Math.round(x / grid) * grid) : point), guides: [] };
}
const snapAngle = (angle, free) => (free ? angle : Math.round(angle / (Math.PI / 12)) * Math.PI / 12);
