// Every command, with its key; menus, buttons and the keyboard all go through this table.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const some = () => !isNothing(), someBodies = () => movable().length > 0, oneBody = () => onlyBody() && movable().length === 1;

function remove() {
  const gone = clone(chosen);
  gone.bodies = movable();
  edit((draft) => removeEntities(draft, gone), none());
}
function copy() { clipboard = excerpt(doc, chosen); say(`${clipboard.bodies.length} shapes copied`); }
function pasteExcerpt(part, shift) {
  let added;
  edit((draft) => { added = addExcerpt(draft, part, shift); return added.ids.length > 0; }, null);
  if (added.ids.length) choose_({ bodies: added.ids });
  if (added.lost) say(`${added.lost} of them do not fit this size`, true);
}
const duplicate = () => pasteExcerpt(excerpt(doc, chosen), [0.2, 0.2]);
const cut = () => { copy(); remove(); };
const paste = () => { if (clipboard) pasteExcerpt(clipboard, [0.2, 0.2]); };
const everything = () => ({ bodies: movable(doc.bodies.map((body) => body.id)), joints: doc.joints.map((_, i) => i), thrusters: doc.thrusters.map((_, i) => i) });
function nextThing(by) {
  const list = [...doc.bodies.map((body) => ({ bodies: [body.id] })), ...doc.joints.map((_, i) => ({ joints: [i] })), ...doc.thrusters.map((_, i) => ({ thrusters: [i] }))];
  if (!list.length) return;
  const now_ = list.findIndex((one) => some() && has(one));
  choose_(list[(now_ + by + list.length + (now_ < 0 && by < 0 ? 1 : 0)) % list.length]);
}
function nudge(direction, event) {
  const length = event && event.altKey ? 0.01 : settings.grid * (event && event.shiftKey ? 5 : 1), shift = times(direction, length);
  if (someBodies()) edit((draft) => moveBodies(draft, group(), shift));
  else if (chosen.joints.length + chosen.thrusters.length === 1) {
    const from = chosen.joints.length ? jointPoint(doc, doc.joints[chosen.joints[0]]) : thrusterPoint(doc, doc.thrusters[chosen.thrusters[0]]);
    edit((draft) => placeAnchor(draft, add(from, shift)));
  }
}
function rotate(sign_, event) {
  const angle = sign_ * (event && event.altKey ? Math.PI / 180 : Math.PI / 12), ids = group();
  edit((draft) => {
    if (ids.length) rotateBodies(draft, ids, angle, middle(bounds(doc.bodies.filter((body) => ids.includes(body.id)))));
    for (const i of chosen.thrusters) {  // those on the bodies have turned with them
      const thruster = draft.thrusters[i];
      if (!ids.includes(thruster.body)) setOr(thruster, "direction", normalAngle((thruster.direction || 0) + angle), 0);
    }
  });
}
const grow = (factor) => edit((draft) => movable().every((id) => scaleBody(draft, id, [factor, factor], [0, 0])));
const setRole = (role) => edit((draft) => { for (const id of movable()) giveRole(bodyOf(draft, id), role); });
const toggleStatic = () => { const on = !movable().every((id) => bodyOf(doc, id).static); edit((draft) => { for (const id of movable()) setStatic(bodyOf(draft, id), on); }); };
const toggleMotor = () => edit((draft) => { for (const i of chosen.joints) if (!draft.joints[i].weld) turnMotor(draft.joints[i], !draft.joints[i].motor_on); });
// Aligns shapes to the outermost of them, or one alone to the room.
function align(axis, side) {
  const ids = movable(), whole = ids.length > 1 ? bounds(ids.map((id) => bodyOf(doc, id))) : [0, FLOOR, SIDE_M, SIDE_M];
  const pick_ = (box) => (side < 0 ? box[axis] : side > 0 ? box[axis + 2] : (box[axis] + box[axis + 2]) / 2);
  edit((draft) => { for (const id of ids) { const by = [0, 0]; by[axis] = pick_(whole) - pick_(bounds([bodyOf(draft, id)])); moveBodies(draft, [id], by); } });
}
// Shapes are drawn in their order, circles over all others.
function reorder(front) {
  const ids = new Set(movable());
  edit((draft) => {
    compact(draft);
    const moved = draft.bodies.filter((body) => ids.has(body.id)), rest = draft.bodies.filter((body) => !ids.has(body.id));
    const walls = doc.walls === "listed" ? rest.filter((body) => isFixed(doc, body)) : [], others = rest.filter((body) => !walls.includes(body));
    draft.bodies = front ? [...walls, ...others, ...moved] : [...walls, ...moved, ...others];
  });
}
function toPolygon() {
  const id = onlyBody();
  if (sizeOf(doc).max_vertices < 4) return;
  edit((draft) => { const body = bodyOf(draft, id); if (body.shape !== "box") return false; body.vertices = boxPoints(body.size).map(roundPoint); body.shape = "polygon"; delete body.size; });
}
// A new corner on the longest edge, a little outside of it, so that the shape stays convex.
function addCorner() {
  const id = onlyBody(), body = bodyOf(doc, id), points = worldPoints(body), count = points.length;
  if (count >= sizeOf(doc).max_vertices) { say(`shapes of this size have at most ${sizeOf(doc).max_vertices} corners (Level, size, own counts)`, true); return; }
  const edges = points.map((p, i) => distance(p, points[(i + 1) % count])), i = edges.indexOf(Math.max(...edges));
  const a = points[i], b = points[(i + 1) % count], out = times([-(b[1] - a[1]), b[0] - a[0]], 0.1);
  points.splice(i + 1, 0, add(times(add(a, b), 0.5), out));
  edit((draft) => changeCorners(draft, id, points));
}
function removeCorner() {
  const id = onlyBody(), points = worldPoints(bodyOf(doc, id));
  if (points.length < 4) { say("a polygon has 3 corners at least", true); return; }
  edit((draft) => changeCorners(draft, id, points.slice(0, -1)));
}
// By keyboard alone: what the tool draws, in the middle of the room or on what is chosen.
function drawHere() {
  const center = [2.5, 2.5], on = onlyBody() && bodyOf(doc, onlyBody());
  if (tool === "polygon" && polygon) closePolygon();
  else if (tool === "box" && !lacks("polygons")) addBody({ shape: "box", size: [0.5, 0.5], position: center });
  else if (tool === "wall" && !lacks("polygons")) addBody({ shape: "box", size: [1, 0.2], position: center, static: true });
  else if (tool === "circle" && !lacks("circles")) addBody({ shape: "circle", radius: 0.25, position: center });
  else if (tool === "polygon" && !lacks("polygons")) { polygon = [[2.2, 2.3], [2.5, 2.8], [2.8, 2.3]]; closePolygon(); }
  else if (tool === "thruster" && on && !lacks("thrusters")) addThruster(on, on.position, Math.PI / 2);
  else if (["revolute", "weld"].includes(tool) && chosen.bodies.length === 2) {
    const [a, b] = chosen.bodies.map((id) => bodyOf(doc, id));
    addJoint(tool === "weld", a, b, b.position);
  } else if (tool !== "select") say("choose what it goes on first: one shape for a thruster, two for a joint", true);
}
const setting = (name) => { settings[name] = !settings[name]; showOverlay(); refresh(); };

// [name, label, keys, whether it can be done, what it does]; the groups are those of the help.
const COMMANDS = {};
const GROUPS = [
  ["File", [["new", "New level", "Alt+N", null, () => newLevel()], ["folder", "Open…", "Ctrl+O", null, () => showFolder()], ["save", "Save", "Ctrl+S", null, () => save()],
    ["saveas", "Save as…", "Ctrl+Shift+S", null, () => saveAs()], ["revert", "Back to the saved version", "Alt+R", () => !file.isNew && isUnsaved(), () => revert()],
    ["share", "Share link", "Shift+L", null, () => share()], ["python", "Copy as Python", "Shift+P", null, () => copyAs("python")], ["json", "Copy as JSON", "Shift+C", null, () => copyAs("native")],
    ["kinetix", "Copy for Kinetix", "Shift+K", null, () => copyAs("kinetix")]]],
  ["Edit", [["undo", "Undo", "Ctrl+Z", () => versions.past.length, () => undo()], ["redo", "Redo", "Ctrl+Shift+Z", () => versions.future.length, () => redo()],
    ["cut", "Cut", "Ctrl+X", someBodies, cut], ["copy", "Copy", "Ctrl+C", someBodies, copy], ["paste", "Paste", "Ctrl+V", () => clipboard, paste], ["duplicate", "Duplicate", "Ctrl+D", someBodies, duplicate],
    ["delete", "Delete", "Delete", some, remove], ["all", "Choose everything", "Ctrl+A", null, () => choose_(everything())], ["next", "Next thing", "]", null, () => nextThing(1)], ["previous", "Previous thing", "[", null, () => nextThing(-1)]]],
  ["Draw", [...Object.entries(TOOLS).map(([name, [label, key]]) => [name, label, key, null, () => setTool(name)]), ["here", "Draw it here", "Enter", null, drawHere]]],
  ["Change", [["left", "Turn left", ",", some, (event) => rotate(1, event)], ["right", "Turn right", ".", some, (event) => rotate(-1, event)], ["grow", "Larger", "+", someBodies, () => grow(1.1)], ["shrink", "Smaller", "-", someBodies, () => grow(1 / 1.1)],
    ...["none", "green", "blue", "red"].map((role, i) => [`role-${role}`, `Role ${role}`, String(i), someBodies, () => setRole(role)]), ["static", "Static or not", "S", someBodies, toggleStatic], ["motor", "Motor or not", "M", () => chosen.joints.length, toggleMotor],
    ["mirror", "Mirror left-right", "H", someBodies, () => edit((draft) => mirrorBodies(draft, group(), 0))], ["flip", "Mirror up-down", "Shift+H", someBodies, () => edit((draft) => mirrorBodies(draft, group(), 1))],
    ["front", "To the front", "PageUp", someBodies, () => reorder(true)], ["back", "To the back", "PageDown", someBodies, () => reorder(false)],
    ["topolygon", "Box to polygon", "Shift+B", () => oneBody() && bodyOf(doc, onlyBody()).shape === "box", toPolygon], ["addcorner", "One corner more", "Insert", () => oneBody() && bodyOf(doc, onlyBody()).shape === "polygon", addCorner], ["removecorner", "One corner less", "Shift+Delete", () => oneBody() && bodyOf(doc, onlyBody()).shape === "polygon", removeCorner]]],
  ["Align", [["align-left", "Left", "Ctrl+ArrowLeft", someBodies, () => align(0, -1)], ["align-right", "Right", "Ctrl+ArrowRight", someBodies, () => align(0, 1)], ["align-top", "Top", "Ctrl+ArrowUp", someBodies, () => align(1, 1)], ["align-bottom", "Bottom", "Ctrl+ArrowDown", someBodies, () => align(1, -1)],
    ["align-middle", "Middle, left to right", "Ctrl+Shift+ArrowLeft", someBodies, () => align(0, 0)], ["align-center", "Middle, up and down", "Ctrl+Shift+ArrowUp", someBodies, () => align(1, 0)]]],
  ["View", [["snap", "Snap to grid", "G", null, () => setting("snap")], ["together", "Joined shapes move together", "L", null, () => setting("together")],
    ["several", "Choose several: clicks add and take away", "A", null, () => setting("several")], ["help", "Keys", "?", null, () => showHelp()]]],
  ["Try", [["try", "Try it", "Space", null, () => beginTrial()], ["agent", "An agent tries it", "Shift+A", () => agents.length, () => beginTrial($("agent").value)], ["watch", "Watch the solution", "Shift+W", () => doc && doc.solution, () => beginTrial(null, true)],
    ["mutate", "A few random edits", "E", null, () => randomEdits()], ["random", "A random level", "R", null, () => randomLevel()], ["judge", "Judge it", "Shift+J", null, () => judge()]]],
];
for (const [, list] of GROUPS) for (const [name, label, key, can, act] of list) COMMANDS[name] = { name, label, key, can: () => mode === "edit" && doc && (!can || Boolean(can())), act };
function run(name, event) {
  const command = COMMANDS[name];
  if (!command.can()) return false;
  command.act(event);
  return true;
}

const chord = (event) => [event.ctrlKey || event.metaKey ? "Ctrl" : "", event.altKey ? "Alt" : "", event.shiftKey ? "Shift" : "", event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key].filter(Boolean).join("+");
const SAME = { Backspace: "Delete", "Ctrl+Y": "Ctrl+Shift+Z", "=": "+", "Shift++": "+", "Shift+?": "?", "Alt+,": ",", "Alt+.": "." };
const BY_KEY = Object.fromEntries(Object.values(COMMANDS).map((command) => [command.key, command.name]));
// A field of a dialog that was just closed may still have the keyboard.
const isTyping = (event) => !event.target.closest("dialog:not([open])") && ["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName) && event.target.type !== "checkbox" && event.target.type !== "range";
// Menus and check boxes, which keep the keyboard where it reached them, and give it back after a click.
const isSwitch = (target) => target.tagName === "SUMMARY" || target.type === "checkbox";
function onKey(event) {
  if ($("dialog").open) return;
  if (isTyping(event)) { if (event.key === "Escape") event.target.blur(); return; }
  if (mode === "trial") { trialKey(event); return; }
  if (event.key === "Escape") { if (!cancelGesture()) { if (tool !== "select") setTool("select"); else choose_(none()); } return; }
  if (gesture) return;
  if ((event.target.tagName === "BUTTON" || isSwitch(event.target)) && (event.key === " " || event.key === "Enter")) return;
  const pressed_ = chord(event), name = BY_KEY[SAME[pressed_] || pressed_];
  if (name) { event.preventDefault(); run(name, event); return; }
  if (ARROWS[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); nudge(ARROWS[event.key], event); }
}

function commandButton(name, label) {
  const { label: words_, key } = COMMANDS[name], button = element("button", "", label || words_);
  button.dataset.command = name;
  button.title = `${words_} (${key})`;
  button.addEventListener("click", (event) => run(name, event));
  return button;
}
function buildMenus() {
  for (const button of document.querySelectorAll("[data-command]")) button.addEventListener("click", (event) => run(button.dataset.command, event));
  for (const [name, [label, key]] of Object.entries(TOOLS)) {
    const button = commandButton(name);
    button.textContent = "";
    button.append(element("span", "", label), element("kbd", "", key));
    button.dataset.tool = name;
    $("tools").append(button);
  }
  for (const [title, list] of GROUPS) {
    if (title === "Draw") continue;
    const menu = element("details", "menu"), box = element("div", "menu-box");
    menu.append(element("summary", "", title), box);
    for (const [name, label, key] of list) {
      const button = commandButton(name);
      button.textContent = "";
      button.append(element("span", "", label), element("kbd", "", key));
      button.addEventListener("click", () => { menu.open = false; });
      box.append(button);
    }
    menu.addEventListener("toggle", () => { if (menu.open) for (const other of document.querySelectorAll("details.menu")) if (other !== menu) other.open = false; });
    $("menus").append(menu);
  }
  addEventListener("pointerdown", (event) => { if (!event.target.closest("details.menu")) for (const menu of document.querySelectorAll("details.menu")) menu.open = false; });
}
// Everything beside the picture.
function refresh() {
  for (const button of document.querySelectorAll("[data-command]")) button.disabled = !COMMANDS[button.dataset.command].can();
  if (!doc) return;
  for (const [id, on] of [["snap", settings.snap], ["together", settings.together], ["several", settings.several]]) for (const button of document.querySelectorAll(`[data-command="${id}"]`)) button.setAttribute("aria-pressed", on);
  $("name").textContent = file.name + (isUnsaved() ? " • not saved" : "");
  document.title = `${file.name} - Kinetix editor`;
  showPanel();
}
