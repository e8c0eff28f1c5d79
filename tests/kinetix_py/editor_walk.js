// Uses the editor at random: `names` are those of commands; returns the text of every version.
function walk(names, steps) {
  let state = 7;
  const random = (n) => { state = (state * 1103515245 + 12345) % 2147483648; return Math.floor(state / 65536) % n; };
  const pick = (list) => list[random(list.length)], place = () => [0.5 + random(41) / 10, 0.6 + random(39) / 10];
  const drawing = [
    () => free(doc).polygons > 0 && addBody({ shape: "box", size: [0.1 + random(8) / 10, 0.1 + random(8) / 10], position: place() }),
    () => free(doc).circles > 0 && addBody({ shape: "circle", radius: 0.1 + random(4) / 10, position: place() }),
    () => { if (free(doc).polygons > 0) { const [x, y] = place(); polygon = [[x, y], [x + 0.5, y], [x + 0.3, y + 0.4]]; closePolygon(); } },
    () => { if (doc.bodies.length > 1 && free(doc).joints > 0) { const a = pick(doc.bodies), b = pick(doc.bodies); if (a !== b) addJoint(random(3) === 0, a, b, b.position); } },
    () => { if (doc.bodies.length && free(doc).thrusters > 0) { const a = pick(doc.bodies); addThruster(a, a.position, random(24) * Math.PI / 12); } },
    () => setSize(pick(["s", "m", "l"])),
    () => choose_({ bodies: doc.bodies.filter(() => random(2)).map((body) => body.id), joints: doc.joints.map((_, i) => i).filter(() => random(2)), thrusters: doc.thrusters.map((_, i) => i).filter(() => random(2)) }),
    () => { if (chosen.bodies.length) nudge(pick([[1, 0], [-1, 0], [0, 1], [0, -1]])); },
    () => { for (const id of chosen.bodies.slice(0, 1)) edit((d) => { setOr(bodyOf(d, id), "density", 0.5 + random(5), 1); freshMass(bodyOf(d, id)); }); },
  ];
  for (let i = 0; i < steps; i++) {
    if (random(3)) pick(drawing)(); else run(pick(names));
    if (random(12) === 0) undo();
  }
  return versions.past.map((version) => version.text).concat([text]);
}
