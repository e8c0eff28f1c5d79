// The state of the editor: the level, its versions, what is chosen; every change goes through `edit`.
let doc = null, text = "", shown = null;  // shown: the level on the screen, which is `doc` but in the middle of a drag
let chosen = none(), tool = "select", mode = "edit", clipboard = null, problems = [];
const versions = { past: [], future: [] };  // texts, with what was chosen
const settings = { grid: 0.1, snap: true, together: true, several: false };
const file = { name: "", saved: "", isNew: true, changed: false, format: "native" };  // saved: text of the version in the file

function none() { return { bodies: [], joints: [], thrusters: [] }; }
const isNothing = (some = chosen) => !some.bodies.length && !some.joints.length && !some.thrusters.length;
const onlyBody = () => (chosen.bodies.length === 1 && !chosen.joints.length && !chosen.thrusters.length ? chosen.bodies[0] : null);
const movable = (ids = chosen.bodies) => ids.filter((id) => !isFixed(doc, bodyOf(doc, id)));
// Bodies that a move takes along.
const group = (ids = movable()) => (settings.together ? linked(doc, ids) : ids);

// Asks the server. An error has `status` 0 where nobody answered.
async function ask(request, message = {}) {
  let answer;
  try {
    answer = await fetch(`/edit/${request}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(message) });
  } catch {
    throw Object.assign(new Error("the server does not answer; start kinetix edit again"), { status: 0 });
  }
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim()), { status: answer.status });
  return answer.json();
}

let saidTimer = 0;
function say(words, isError = false) {
  $("said").textContent = words;
  $("said").classList.toggle("error", isError);
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => { $("said").textContent = ""; }, isError ? 8000 : 4000);
}
const failed = (error) => say(error.message, true);

// What a file says about the level as it was drawn is not true of another.
const MEASURED = ["solution", "difficulty"], NOTES = ["name", "author", "description", ...MEASURED];
const physics = (level) => JSON.stringify(Object.fromEntries(Object.entries(level).filter(([field]) => !NOTES.includes(field))));

// Changes the level: `change` gets a copy and may return false to leave it as it was.
function edit(change, choose = null) {
  const draft = clone(doc), result = change(draft);
  if (result === false) { show(doc); return false; }
  raiseVersion(draft);
  if (physics(draft) !== physics(doc)) for (const name of MEASURED) if (JSON.stringify(draft[name]) === JSON.stringify(doc[name])) delete draft[name];
  const next = JSON.stringify(draft);
  if (next === text) { if (choose) choose_(choose); show(doc); return true; }
  versions.past.push({ text, chosen });
  versions.future.length = 0;
  adopt(next, choose || chosen);
  return true;
}
function adopt(next, choice) {
  text = next;
  doc = JSON.parse(text);
  chosen = existing(choice);
  show(doc);
  keep();
  refresh();
}
function step(from, to) {
  if (!versions[from].length || mode !== "edit") return;
  const version = versions[from].pop();
  versions[to].push({ text, chosen });
  adopt(version.text, version.chosen);
}
const undo = () => step("past", "future"), redo = () => step("future", "past");

const existing = (some) => ({ bodies: some.bodies.filter((id) => bodyOf(doc, id)),
  joints: some.joints.filter((i) => i < doc.joints.length), thrusters: some.thrusters.filter((i) => i < doc.thrusters.length) });
function choose_(some) {
  chosen = existing({ ...none(), ...some });
  showOverlay();
  refresh();
}

// Another level, with versions of its own. `savedText`: what the file holds, null if there is none.
function openDocument(level, name, savedText, format = "native") {
  Object.assign(versions, { past: [], future: [] });
  Object.assign(file, { name, saved: savedText === null ? "" : savedText, isNew: savedText === null, changed: false, format });
  chosen = none();
  text = JSON.stringify(level);
  doc = JSON.parse(text);
  drawn = null;
  forgetJudgement();
  show(doc);
  requestPicture(false);
  const lost = restored(name);
  if (lost && lost !== text) {
    versions.past.push({ text, chosen });
    adopt(lost, none());
    say("changes that the server had not kept are back; undo takes them away");
  }
  refresh();
}
const isUnsaved = () => text !== file.saved && (!file.isNew || file.changed);

// Autosave: every version is in the browser's own store until the server has it on disk.
const storeKey = (name) => `kinetix-edit ${start_.folder} ${name}`;
function restored(name) {
  try { return localStorage.getItem(storeKey(name)); } catch { return null; }
}
function remember(name, version) {
  try { localStorage.setItem(storeKey(name), version); } catch { /* the store is off or full: the server has a copy all the same */ }
}
function forget(name, version) {
  try { if (localStorage.getItem(storeKey(name)) === version) localStorage.removeItem(storeKey(name)); } catch { /* it is off */ }
}
function keep() {
  file.changed = true;
  remember(file.name, text);
  requestPicture(true);
}

// Pictures come from the server, the newest first; what must be kept is never dropped.
const wanted = { keep: null, draw: null, busy: false };
// Lets what is being kept end, so that it does not come after what follows; what still waits of a level is dropped.
async function settle(name) {
  if (wanted.keep && wanted.keep.name === name) wanted.keep = null;
  while (wanted.busy) await new Promise((done) => setTimeout(done, 20));
}
function requestPicture(kept, level = doc) {
  const entry = { name: file.name, level, text: kept ? text : null };
  if (kept) { wanted.keep = entry; wanted.draw = null; } else wanted.draw = entry;
  sendPicture();
}
async function sendPicture() {
  if (wanted.busy) return;
  const entry = wanted.keep || wanted.draw;
  if (!entry) return;
  if (entry === wanted.keep) wanted.keep = null; else wanted.draw = null;
  wanted.busy = true;
  try {
    const answer = await ask(entry.text === null ? "draw" : "keep", { level: entry.level, name: entry.name });
    if (entry.text !== null) { forget(entry.name, entry.text); $("kept").textContent = "✓ kept"; }
    if (entry.name === file.name && mode === "edit") {
      takePicture(answer.picture, entry.level);
      if (entry.text === text || entry.level === doc) { problems = answer.problems; listProblems(); showOverlay(); }
    }
  } catch (error) {
    $("kept").textContent = "✗ not kept";
    failed(error);
    if (error.status === 0 && entry.text !== null && !wanted.keep) {
      wanted.keep = entry;
      setTimeout(() => { wanted.busy = false; sendPicture(); }, 1000);
      return;
    }
  }
  wanted.busy = false;
  sendPicture();
}
