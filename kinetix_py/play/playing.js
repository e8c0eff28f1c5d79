// Plays live: keys go to the server, levels and frames come back. Needs rendering/drawing.js, and a page with
// the elements room, banner and hints; others, such as time and latency, are filled where a page has them.
const $ = (id) => document.getElementById(id);
const page = crypto.randomUUID();
const held = new Set(), pressed = [], latencies = [];
let number = 0, open = false, level = null, parts = null, now = null, drag = null;  // drag: [body, x, y] while one is held
const BANNERS = {
  ready: ["Press a key", "the clock starts with it"], paused: ["Paused", "Space goes on, . plays one frame"],
  solved: ["✓ Solved", "R again, N next level"], failed: ["✗ Failed: green touched red", "R again, N next level"],
  time: ["✗ Time is up", "R again, N next level"], diverged: ["✗ The physics left the finite numbers", "R again, N next level"],
};

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
const put = (id, text) => { if ($(id)) $(id).textContent = text; };

// Which keys are down, all of them, so that a message that is lost or late does no lasting harm.
function tell(command) {
  if (!open) return;
  number += 1;
  const body = JSON.stringify({ page, number, held: [...held], command: command || null, ...(drag && { drag }) });
  fetch("/input", { method: "POST", headers: { "Content-Type": "application/json" }, body, keepalive: true })
    .catch(() => lose());
}
function press(code, time) {
  if (held.has(code)) return;
  held.add(code);
  tell();
  if (now && now.phase === "running" && !now.watching) pressed.push({ number, time });
  mark();
}
function release(code) {
  if (held.delete(code)) tell();
  mark();
}
function releaseAll() {
  if (!held.size) return;
  held.clear();
  tell();
  mark();
}
function mark() {
  for (const key of document.querySelectorAll("[data-code]")) key.classList.toggle("down", held.has(key.dataset.code));
}
const plays = (code) => level && level.hints.some((hint) => hint.keys.some((key) => key.code === code)) || /^Numpad[1-9]$/.test(code);
addEventListener("keyup", (event) => release(event.code));
addEventListener("blur", releaseAll);

// A motor's arrow says which way its second body turns; motors of one binding may turn different ways.
const TURNS = { 1: ["⟲", "counter-clockwise"], "-1": ["⟳", "clockwise"] }, WAYS = { 1: ["+", "forwards"], "-1": ["−", "backwards"] };
const turnOf = (hint, value) => (hint.sign ? TURNS[value * hint.sign] : WAYS[value]);
function hintRow(hint) {
  const row = element("div", hint.used ? "hint" : "hint unused"), name = element("span", "name");
  const dot = element("span", `dot ${hint.kind}`);
  dot.style.background = hint.color;
  row.style.setProperty("--color", hint.color);
  row.title = hint.used ? "" : "nothing in this level listens to it";
  name.append(dot, hint.name);
  row.append(name);
  for (const key of hint.keys) {
    const [sign, words] = hint.kind === "motor" ? turnOf(hint, key.value) : ["", "on"];
    const button = element("button", "", `${key.label} ${sign}`.trim());
    button.dataset.code = key.code;
    button.dataset.binding = hint.binding;
    button.dataset.value = key.value;
    button.title = button.ariaLabel = `${key.label}: ${hint.name} ${words}`;
    button.tabIndex = -1;
    button.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      button.setPointerCapture(event.pointerId);
      press(key.code, event.timeStamp);
    });
    for (const type of ["pointerup", "pointercancel"]) button.addEventListener(type, () => release(key.code));
    row.append(button);
  }
  if (!hint.keys.length) row.append(element("span", "", "no key"));
  return row;
}

// What an agent does is shown on the keys that would do it, and beside them in words.
function showDecision(frame) {
  for (const key of document.querySelectorAll("[data-binding]")) {
    const v = frame.action ? frame.action[key.dataset.binding] * key.dataset.value : 0;
    key.classList.toggle("chosen-by-agent", v > 0);
  }
  const acts = frame.action ? level.hints.filter((hint) => hint.used && frame.action[hint.binding]).map((hint) => {
    const v = frame.action[hint.binding], share = Math.abs(v) < 1 ? ` ${Math.round(100 * Math.abs(v))} %` : "";
    return `${hint.name}${hint.kind === "motor" ? ` ${turnOf(hint, Math.sign(v))[0]}` : ""}${share}`;
  }) : [];
  put("action", frame.action ? acts.join(", ") || "nothing" : "yours");
  put("value", frame.value === null ? "none" : frame.value.toFixed(3));
  const rings = frame.relevance && (!$("rings") || $("rings").checked);
  ringBodies($("room").firstElementChild, frame.bodies, rings ? frame.relevance : []);
  if ($("relevance")) $("relevance").hidden = !frame.relevance;
  put("relevance-kind", RELEVANCE[frame.relevance_kind] || "");
}
const RELEVANCE = {
  attention: "Share, in percent, of the attention that green and blue pay to each shape: a mean over the network's layers and heads.",
  "leave-one-out": "How far the probabilities of the agent's actions move, in percent, when it does not see a shape. Its network has no attention to show.",
};

function switchRings() {
  $("rings").checked = !$("rings").checked;
  if (now) showDecision(now);
}

// showLevel.more and showFrame.more are what a page does with them beside.
function showLevel(told) {
  level = told;
  $("room").innerHTML = level.picture;
  parts = movingParts($("room"), level.bodies);
  $("hints").replaceChildren(...level.hints.map(hintRow));
  mark();
  pressed.length = 0;
  showLevel.more(told);
}

function banner(kind, title, rest) {
  const box = $("banner"), text = title ? `${title}|${rest}` : "";
  if (box.dataset.text === text) return;
  box.dataset.text = text;
  box.className = kind;
  box.replaceChildren(...(title ? [element("b", "", title), element("span", "", rest)] : []));
}

function showFrame(frame) {
  now = frame;
  placeBodies(parts, (i) => frame.bodies[i]);
  markContacts(parts, frame.contacts);
  showControls(parts, level.joints, (k) => frame.controls[k]);
  if (frame.goal) showGoals(parts, frame.goal.number);
  if (frame.on) showSwitches(parts, frame.on);
  const [title, rest] = BANNERS[frame.phase] || [];
  banner(frame.phase, frame.phase === "solved" ? `${title} in ${frame.time.toFixed(2)} s` : title, rest);
  document.body.dataset.phase = frame.phase;
  put("time", `${frame.time.toFixed(2)}${level.limit ? ` of ${level.limit.toFixed(2)}` : ""} s`);
  $("bar").firstElementChild.style.width = `${level.limit ? Math.min(100, 100 * frame.time / level.limit) : 0}%`;
  put("goal", !frame.goal ? "blue" : `B${frame.goal.number}, ${frame.goal.place} of ${frame.goal.count}` + (frame.goal.held ? `, held ${Math.round(100 * frame.goal.held)} %` : ""));
  put("distance", `${frame.distance.toFixed(2)} m`);
  showDecision(frame);
  if (frame.rate) put("rate", `${frame.rate.toFixed(1)} frames/s`);
  put("cost", `${(1000 * frame.cost).toFixed(1)} ms`);
  put("who", frame.watching ? `${level.player} plays` : "You play");
  felt(frame.numbers[page]);
  showFrame.more(frame);
}

// What this frame has felt is on the screen after the next paint.
function felt(newest) {
  const done = [];
  while (pressed.length && pressed[0].number <= newest) done.push(pressed.shift().time);
  if (!done.length) return;
  requestAnimationFrame(() => setTimeout(() => {
    for (const time of done) latencies.push(performance.now() - time);
    latencies.splice(0, latencies.length - 20);
    const sorted = [...latencies].sort((a, b) => a - b);
    put("latency", `${sorted[Math.floor(sorted.length / 2)].toFixed(0)} ms`);
  }));
}

function lose() {
  open = false;
  held.clear();
  pressed.length = 0;
  banner("failed", "Not connected", lose.reason);
}

// wanted(told) says whether a level, and the frames after it, are for this page.
function connect(reason, wanted = () => true) {
  let mine = false;
  lose.reason = reason;
  const events = new EventSource(`/events?page=${page}`);
  events.addEventListener("open", () => { open = true; number = 0; });
  events.addEventListener("error", lose);
  events.addEventListener("level", (event) => {
    const told = JSON.parse(event.data);
    mine = wanted(told);
    if (mine) showLevel(told);
  });
  events.addEventListener("frame", (event) => { if (mine && wanted(level)) showFrame(JSON.parse(event.data)); });
}
