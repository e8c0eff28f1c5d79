// Trying the level: the picture belongs to the engine until Space or Escape brings the drawing back.
let agents = [], trial = null, trials = 0;

async function beginTrial(agent = null, solution = false) {
  cancelGesture();
  trials += 1;
  trial = `${page} ${trials}`;
  setMode("trial");
  banner("ready", "Starting", "the first level of a size takes a while to compile");
  const own = trial;
  try {
    await ask("attempt", { level: doc, agent, solution, trial });
    while (trial === own && !(level && level.trial === own)) {
      const { failure } = await ask("attempted", { trial });
      if (failure) throw new Error(failure);
      await new Promise((done) => setTimeout(done, 300));
    }
  } catch (error) {
    if (trial === own) endTrial();
    failed(error);
  }
}
function endTrial() {
  if (mode !== "trial") return;
  releaseAll();
  tell("pause");
  trial = null;
  setMode("edit");
  drawn = null;
  banner("", "");
  show(doc);
  requestPicture(false);
  refresh();
}
function setMode(name) {
  mode = name;
  document.body.dataset.mode = name;
  for (const part of document.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== name;
  if (name === "trial") $("overlay").innerHTML = "";
  refresh();
}
const TRIAL_KEYS = { " ": endTrial, Escape: endTrial, r: () => tell("restart"), k: () => tell(now && now.phase === "running" ? "pause" : "resume"), ".": () => tell("step"), p: () => handOver(), v: () => switchRings() };
function handOver() {
  if (level && level.player && now) tell(now.watching ? "play" : "watch");
}
function trialKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = TRIAL_KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key], playing = plays(event.code);
  if (!act && !playing) return;
  event.preventDefault();
  if (event.repeat) return;
  if (playing) press(event.code, event.timeStamp); else act();
}
// Dragging a body while it runs: the engine pulls it after the pointer.
function startPull(point, event) {
  const hit = document.elementsFromPoint(event.clientX, event.clientY).map((one) => one.closest("#room [data-body]")).find(Boolean);
  const body = hit && Number(hit.dataset.body), index = hit && level.bodies.indexOf(body);
  if (!hit || !now || index < 0) return null;
  const offset = minus(now.bodies[index], point);
  let target = null, due = false;
  const send = () => { due = false; if (target) { drag = [body, ...target]; tell(); } };
  const letGo = () => { target = drag = null; tell(); };
  return { move(to) { target = add(to, offset); if (!due) { due = true; requestAnimationFrame(send); } }, end: letGo, cancel: letGo };
}
BANNERS.paused = ["Paused", "K goes on, . plays one frame"];
for (const phase of ["solved", "failed", "time", "diverged"]) BANNERS[phase] = [BANNERS[phase][0], "R again, Space back to the drawing"];
showLevel.more = () => {};
showFrame.more = (frame) => {
  $("handover").hidden = !level.player;
  $("handover").firstElementChild.textContent = frame.watching ? "Play yourself" : "Watch";
  $("hold").firstElementChild.textContent = frame.phase === "paused" ? "Go on" : "Pause";
};
function listenToTrial() {
  for (const [id, act] of [["back", endTrial], ["again", TRIAL_KEYS.r], ["hold", TRIAL_KEYS.k], ["handover", handOver]]) {
    $(id).addEventListener("click", act);
    $(id).addEventListener("pointerdown", (event) => event.preventDefault());  // or Space would click it again
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden && mode === "trial") { releaseAll(); tell("pause"); } });
  connect("kinetix edit has ended, or is busy; this page comes back by itself", (told) => mode === "trial" && told.trial === trial);
}
