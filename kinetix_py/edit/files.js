// Files, links, copies, random levels and judgements.
const dialogOf = (title, ...content) => {
  const close = element("button", "", "Close");
  close.addEventListener("click", () => $("dialog").close());
  $("dialog").replaceChildren(element("h2", "", title), ...content, close);
  if (!$("dialog").open) $("dialog").showModal();
};
const textOf = (level) => JSON.stringify(level);

async function openLevel(name) {
  try {
    const { level: found, draft, format } = await ask("load", { name });
    const saved = draft ? await ask("load", { name, saved: true }).then((answer) => textOf(answer.level), () => null) : textOf(found);
    openDocument(found, name, saved, format);
    if (draft) { file.changed = true; say("changes that were not saved are here; Alt+R takes the saved version"); }
    refresh();
    $("dialog").close();
  } catch (error) { failed(error); }
}
async function newLevel(found = start_.new, wanted_ = "level") {
  try { openDocument(found, (await ask("reserve", { name: wanted_ })).name, null); } catch (error) { failed(error); }
}
async function save(name = file.name, unused = false, format = file.format) {
  try {
    const saved = text, level = doc;
    await settle(file.name);
    const answer = await ask("save", { level, name, unused, format });
    const renamed = answer.name !== file.name;
    forget(file.name, saved);
    if (renamed && file.isNew) await ask("discard", { name: file.name }).catch(() => {});  // there may be none
    Object.assign(file, { name: answer.name, saved, isNew: false, format });
    say(`saved as ${answer.path}`);
    refresh();
  } catch (error) { failed(error); }
}
function saveAs() {
  const input = element("input"), form = element("form");
  input.value = file.name;
  input.setAttribute("aria-label", "name");
  input.maxLength = 80;
  let format = file.format;
  const formats = pick("format", format, [["native", "of this package"], ["kinetix", "of Kinetix: without title, solution and difficulty"]], (value) => { format = value; });
  form.append(element("p", "", `A name in the folder ${start_.folder}:`), input, formats, element("button", "main", "Save"));
  form.addEventListener("submit", (event) => { event.preventDefault(); $("dialog").close(); save(input.value.trim(), input.value.trim() !== file.name, format); });
  dialogOf("Save as", form);
  input.select();
}
async function revert() {
  try {
    const { level: saved } = await ask("load", { name: file.name, saved: true });
    edit((draft) => { for (const key of Object.keys(draft)) delete draft[key]; Object.assign(draft, saved); }, none());
    file.saved = text;
    forget(file.name, text);
    await settle(file.name);
    await ask("discard", { name: file.name });
    say("this is the saved version; undo takes it back");
    refresh();
  } catch (error) { failed(error); }
}
async function showFolder() {
  try {
    const { levels } = await ask("levels"), grid = element("div", "thumbnails");
    for (const { name, draft } of levels) {
      const button = element("button", "thumbnail"), picture = element("img");
      picture.src = `/thumbnail?name=${encodeURIComponent(name)}`;
      picture.alt = "";
      picture.loading = "lazy";
      button.append(picture, element("span", "", name + (draft ? " •" : "")));
      button.title = draft ? `${name}: has changes that are not saved` : name;
      button.addEventListener("click", () => openLevel(name));
      grid.append(button);
    }
    const input = element("input");
    input.type = "file";
    input.accept = ".json,application/json";
    input.addEventListener("change", () => { if (input.files[0]) readFile(input.files[0]); });
    const label = element("label", "field wide");
    label.append(element("span", "", "a file of this package or of Kinetix:"), input);
    dialogOf(`Levels in ${start_.folder}`, levels.length ? grid : element("p", "", "There are none yet."), label);
  } catch (error) { failed(error); }
}
async function readFile(given) {
  try {
    if (given.size > 1e6) throw new Error(`${given.name} is larger than a level can be`);
    const { level: found } = await ask("read", { text: await given.text() });
    await newLevel(found, given.name.replace(/\.json$/i, "").replace(/[^\w+(), .-]/g, "_").slice(0, 60) || "level");
    keep();
    $("dialog").close();
  } catch (error) { failed(error); }
}

// Shows a text, and copies it where the browser allows that; a browser that asks first may take its time.
function toClipboard(content, what) {
  const area = element("textarea", "copied"), done = element("p", "", "press Ctrl+C to copy it");
  area.value = content;
  area.readOnly = true;
  area.setAttribute("aria-label", what);
  dialogOf(what, done, area);
  area.select();
  navigator.clipboard?.writeText(content).then(() => { done.textContent = "copied to the clipboard"; }, () => {});
}
async function copyAs(format) {
  const title = { python: "The level in Python", native: "The level as JSON", kinetix: "The level in Kinetix's format" }[format];
  try { toClipboard((await ask("write", { level: doc, format })).text, title); } catch (error) { failed(error); }
}

// A link holds the level itself, deflated, behind the #, which browsers send to no server.
const MAX_LINK = 100000;
async function pack(content) {
  const packed = await new Response(new Blob([content]).stream().pipeThrough(new CompressionStream("deflate-raw"))).arrayBuffer();
  return btoa(Array.from(new Uint8Array(packed), (byte) => String.fromCharCode(byte)).join("")).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
async function unpack(packed) {
  if (packed.length > MAX_LINK) throw new Error("the link is longer than that of any level");
  const bytes = Uint8Array.from(atob(packed.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader(), decoder = new TextDecoder();
  let content = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    content += decoder.decode(part.value, { stream: true });
    if (content.length > 1e6) throw new Error("the link holds more than a level can be");
  }
  return content;
}
async function share() {
  const { solution, difficulty, ...rest } = doc;
  toClipboard(`${location.origin}/#level=${await pack(JSON.stringify(rest))}`, "A link that holds the level");
}
async function openLink() {
  const packed = location.hash.match(/^#level=([\w-]+)$/);
  if (!packed) return false;
  try {
    const { level: found } = await ask("read", { text: await unpack(packed[1]) });
    window.history.replaceState(null, "", "/");
    await newLevel(found, "shared");
    keep();
    return true;
  } catch (error) {
    say(`the link holds no level: ${error.message}`, true);
    return false;
  }
}

const seed = () => Math.floor(Math.random() * 2 ** 31);
async function replaceLevel(request, message, words_) {
  say(`${words_}: the first of a size takes a while to compile`);
  const before = text;
  try {
    const { level: found } = await ask(request, message);
    if (text !== before || mode !== "edit") return;
    edit((draft) => { for (const key of Object.keys(draft)) if (!NOTES.slice(0, 3).includes(key)) delete draft[key]; Object.assign(draft, found); }, none());
    say(words_);
  } catch (error) { failed(error); }
}
const randomEdits = () => replaceLevel("mutate", { level: doc, seed: seed() }, "a few random edits");
const randomLevel = () => replaceLevel("random", { size: typeof doc.size === "string" ? doc.size : "l", seed: seed() }, "a random level");

let judging = null;
async function judge() {
  try {
    const { number: number_ } = await ask("judge", { level: doc }), own = { number: number_, text };
    judging = own;
    while (judging === own) {
      const status_ = await ask("judged");
      if (status_.number !== number_) return;
      showJudgement(status_);
      if (status_.state !== "running") { judging = null; showJudgement(status_, own.text); return; }
      await new Promise((done) => setTimeout(done, 250));
    }
  } catch (error) { judging = null; failed(error); }
}
function showJudgement(status_, judgedText = null) {
  const running = status_.state === "running";
  $("cancel").hidden = !running;
  $("progress").hidden = !running;
  $("progress").value = status_.progress;
  $("judging").textContent = running ? status_.line : status_.state === "failed" ? `✗ ${status_.line}` : status_.state === "cancelled" ? "cancelled" : "";
  $("verdicts").replaceChildren(...status_.verdicts.map((verdict) => {
    const row = element("li", verdict.good === false ? "bad" : verdict.good ? "good" : "");
    row.textContent = `${verdict.good === false ? "✗ " : verdict.good ? "✓ " : ""}${verdict.name}: ${verdict.text}`;
    return row;
  }));
  $("keep-solution").hidden = true;
  if (judgedText && status_.solution) {
    if (judgedText !== text) { $("judging").textContent = "the level has changed since: its solution is not kept"; return; }
    edit((draft) => { draft.solution = status_.solution; delete draft.difficulty; });
    $("judging").textContent = "the solution is kept in the level";
    $("keep-solution").hidden = false;
    $("label").value = "";
    const solved = textOf(status_.solution);
    $("label").onchange = () => { if ($("label").value && doc.solution && textOf(doc.solution) === solved) edit((draft) => { draft.difficulty = { label: $("label").value, ...status_.difficulty }; }); };
  }
}
// What was found of one level says nothing of the next.
function forgetJudgement() {
  if (judging) ask("cancel").catch(() => {});  // it may have ended
  judging = null;
  $("keep-solution").hidden = $("cancel").hidden = $("progress").hidden = true;
  $("judging").textContent = "";
  $("verdicts").replaceChildren();
}
function showHelp() {
  const sections = GROUPS.map(([title, list]) => {
    const section = element("section"), keys = element("dl");
    for (const [, label, key] of list) { const term = element("dt"); term.append(element("kbd", "", key)); keys.append(term, element("dd", "", label)); }
    section.append(element("h3", "", title), keys);
    return section;
  });
  const more = element("p", "", "Arrows move what is chosen by the grid (Shift: five times as far, Alt: 1 cm); Alt while dragging turns snapping off; Shift adds to a choice and keeps proportions; Escape goes back.");
  const box = element("div", "help");
  box.append(...sections);
  dialogOf("Keys", more, box);
}

let start_ = null;
async function begin() {
  buildMenus();
  listenToPointer();
  listenToTrial();
  setTool("select");
  setMode("edit");
  addEventListener("keydown", onKey);
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => { event.preventDefault(); if (event.dataTransfer.files[0]) readFile(event.dataTransfer.files[0]); });
  $("cancel").addEventListener("click", () => ask("cancel").catch(failed));
  $("grid").addEventListener("change", () => { settings.grid = Number($("grid").value); showOverlay(); $("grid").blur(); });
  start_ = await ask("start");
  SIZES = start_.sizes;
  ROLES = start_.roles;
  agents = start_.agents;
  $("agent").replaceChildren(...agents.map((name) => { const option = element("option", "", name); option.value = name; return option; }));
  $("agents").hidden = !agents.length;
  addEventListener("click", (event) => { if (event.detail && isSwitch(event.target)) event.target.blur(); });
  addEventListener("hashchange", openLink);  // a link that is pasted into this page
  if (await openLink()) return;
  if (start_.opened.length) await openLevel(start_.opened[0]); else await newLevel();
}
begin().catch(failed);
