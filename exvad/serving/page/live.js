// Live: what is watched, how to start watching, and telling of alerts wherever they come from.
import * as stream from "./stream.js";
import { $, announce, ask, clock, entry, fill, neighbour, rows, spaced, tell, write } from "./dom.js";

const PAGE = 20;
const state = { shown: null, limit: PAGE, due: 0, asked: 0, told: "", known: null, unseen: new Map() };
const STATES = {
  waiting: ["waiting", ""], watching: ["watching", "calm"], lost: ["lost", "alarm"], ended: ["ended", ""],
};

function notice(text, passing = false) {
  if (passing && !text && $("live-notice").textContent !== state.told) return;
  if (passing) state.told = text;
  write($("live-notice"), text);
}

export async function refresh() {
  const turn = ++state.asked;
  state.due = Infinity;
  let rest = 5000;
  try {
    const page = await ask(`v1/streams?limit=${state.limit}`);
    const shown = state.shown;
    const found = shown && await ask(`v1/streams/${encodeURIComponent(shown)}`).catch(forgotten);
    if (turn !== state.asked) return; // a later question has been asked meanwhile
    notice("", true);
    list(page);
    listen(page.items);
    if (shown && shown === state.shown) {
      if (found) stream.update(found);
      else gone();
    }
    if (page.items.some((item) => item.state !== "ended")) rest = 2500;
  } catch (error) {
    if (turn !== state.asked) return;
    notice(error.message, true);
    rest = 2000;
  }
  state.due = performance.now() + rest;
}

function forgotten(error) {
  if (error.status === 404) return null;
  throw error;
}

function gone() {
  notice("This stream is not watched any more.");
  location.hash = "live";
}

function list(page) {
  $("no-streams").hidden = page.items.length > 0;
  $("more-streams").hidden = page.total <= page.items.length || state.limit >= 200;
  rows($("streams"), page.items, (item) => item.id, (item) => entry("#live", item), (row, item) => {
    const newest = item.score === null ? "no score yet" : `score ${item.score.toFixed(2)}`;
    const judging = item.unjudged ? ` · ${item.unjudged} to judge` : "";
    const since = item.seconds === null ? "" : ` · ${clock(item.seconds)}`;
    fill(row, item.name, STATES[item.state], newest + since + judging, item.id === state.shown);
    const hot = item.state === "watching" && item.score > (item.threshold ?? 1);
    row.classList.toggle("hot", hot);
  });
}

// An alert is news once; those from before the page was opened are not.
function listen(items) {
  const first = state.known === null;
  state.known ??= new Set();
  const fresh = [];
  for (const item of items) {
    for (const alert of item.alerts) {
      const name = `${item.id}/${alert.number}`;
      if (!first && !state.known.has(name)) fresh.push([item, alert]);
      state.known.add(name);
    }
  }
  for (const [item, alert] of fresh) state.unseen.set(`${item.id}/${alert.number}`, item.id);
  if (fresh.length) {
    const said = fresh.map(([item, alert]) => (
      `Alert ${alert.number} of ${item.name}: ${spaced(alert.label)}, score ${alert.peak.toFixed(2)}.`));
    write($("alarm"), said.reverse().join(" "));
  }
  const ids = new Set(items.map((item) => item.id));
  for (const [name, id] of state.unseen) if (!ids.has(id)) state.unseen.delete(name);
  count();
}

function count() {
  const { size } = state.unseen;
  document.title = size ? `(${size}) new alert${size > 1 ? "s" : ""} · exvad` : "exvad";
  $("unseen").hidden = size === 0;
  write($("unseen"), size ? `${size} new` : "");
}

// Whoever touches the page while a stream is open has seen its alerts.
function seen() {
  if (state.shown === null) return;
  for (const [name, id] of state.unseen) if (id === state.shown) state.unseen.delete(name);
  count();
}

export function open(id) {
  if (state.shown === id) return;
  state.shown = id;
  $("stream").hidden = true;
  stream.close();
  if (id === null) {
    for (const link of document.querySelectorAll("#streams a")) link.removeAttribute("aria-current");
    return;
  }
  notice("");
  stream.open(id, { refresh, notice });
  refresh();
}

// One class a line, `name: description; description`.
function categories(text) {
  const found = {};
  for (const line of text.split("\n").filter((each) => each.trim())) {
    const [name, ...rest] = line.split(":");
    const words = rest.join(":").split(";").map((each) => each.trim()).filter(Boolean);
    if (!name.trim() || !words.length) throw new Error(`“${line.trim()}”: write class: what is seen`);
    found[name.trim()] = words;
  }
  return found;
}

function wanted() {
  const source = $("source").value.trim();
  const body = /^[a-z][a-z0-9+.-]*:/i.test(source) ? { url: source } : { path: source };
  const numbers = { on: "on", least_seconds: "least", cool_down_seconds: "cool" };
  for (const [name, field] of Object.entries(numbers)) {
    if ($(field).value !== "") body[name] = Number($(field).value);
  }
  if ($("called").value.trim()) body.name = $("called").value.trim();
  if (!$("explain").checked) body.explain = false;
  const besides = categories($("besides").value);
  if (Object.keys(besides).length) body.categories = besides;
  return body;
}

$("watch").addEventListener("submit", async (event) => {
  event.preventDefault();
  const start = $("watch").querySelector("[type=submit]");
  start.disabled = true;
  notice("");
  try {
    const begun = await tell("v1/streams", "POST", wanted());
    $("watch").reset();
    $("watch").querySelector("details").open = false;
    announce(`Watching ${begun.name}.`);
    location.hash = `live/${begun.id}`;
  } catch (error) {
    notice(error.message);
  } finally {
    start.disabled = false;
  }
});
$("stop").addEventListener("click", async () => {
  const id = state.shown;
  const name = $("stream-name").textContent;
  const next = neighbour($("streams"), id, $("source"));
  if (!id || !confirm(`Stop watching ${name} and forget its alerts?`)) return;
  try {
    await ask(`v1/streams/${id}`, { method: "DELETE" });
    location.hash = "live";
    open(null);
    await refresh();
    announce(`${name} is not watched any more.`);
    next.focus();
  } catch (error) {
    notice(error.message);
  }
});
$("more-streams").addEventListener("click", () => {
  state.limit = Math.min(200, state.limit + PAGE);
  refresh();
});
for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, seen);
new Worker("pulse.js").addEventListener("message", () => {
  if (performance.now() >= state.due) refresh();
});
refresh();
