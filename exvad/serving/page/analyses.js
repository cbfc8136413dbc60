// Videos: sending them, the list, and following one while it is worked on.
import * as answer from "./answer.js";
import { $, announce, ask, entry, fill, focusOpened, neighbour, rows, spaced, write } from "./dom.js";
import { draw } from "./draw.js";

const PAGE = 30;
const state = { shown: null, source: null, limit: PAGE, timer: 0, asked: 0, told: "" };

// What the last question to the server had to say goes away by itself, other words stay.
function notice(text, passing = false) {
  if (passing && !text && $("notice").textContent !== state.told) return;
  if (passing) state.told = text;
  write($("notice"), text);
}

export async function submit(files) {
  const refused = [];
  let opened = false;
  notice("");
  for (const [place, file] of files.entries()) {
    const which = files.length > 1 ? ` (${place + 1} of ${files.length})` : "";
    $("sending").hidden = false;
    try {
      const accepted = await send(file, (share) => {
        $("share").value = share;
        write($("sent"), `Sending ${file.name}${which}`);
      });
      await refresh();
      if (!opened) location.hash = `videos/${accepted.id}`;
      opened = true;
    } catch (error) {
      refused.push(`${file.name}: ${error.message}`);
      notice(refused.join("\n"));
    }
  }
  $("sending").hidden = true;
}

// Only XMLHttpRequest tells how much of a body has been sent.
function send(file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("video", file);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
    request.addEventListener("error", () => reject(new Error("the connection broke: try again")));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(request.response);
      else reject(new Error(request.response?.detail || `the server answered ${request.status}`));
    });
    request.open("POST", "v1/analyses");
    progress(0);
    request.send(form);
  });
}

function saying(item) {
  if (item.state === "queued") return ["waiting", ""];
  if (item.state === "running") return [`${Math.round(item.progress * 100)} %`, ""];
  if (item.state === "failed") return ["failed", "alarm"];
  return item.events === 0 ? ["ordinary", "calm"] : [spaced(item.label), "alarm"];
}

export async function refresh() {
  clearTimeout(state.timer);
  const turn = ++state.asked;
  let rest = 5000;
  try {
    const page = await ask(`v1/analyses?limit=${state.limit}`);
    if (turn !== state.asked) return; // a later question has been asked meanwhile
    notice("", true);
    $("empty").hidden = page.items.length > 0;
    $("more").hidden = page.total <= page.items.length || state.limit >= 200;
    rows($("list"), page.items, (item) => item.id, (item) => entry("#videos", item), (row, item) => {
      const when = new Date(item.created * 1000).toLocaleString();
      const judgement = item.triage === "open" ? "" : ` · ${item.triage}`;
      fill(row, item.name, saying(item), when + judgement, item.id === state.shown);
    });
    if (page.items.some((item) => item.state === "queued" || item.state === "running")) rest = 1500;
  } catch (error) {
    if (turn !== state.asked) return;
    notice(error.message, true);
    rest = 2000;
  }
  state.timer = setTimeout(refresh, rest);
}

function select(id) {
  for (const link of document.querySelectorAll("#list a")) {
    if (link.parentElement.dataset.key === id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

export async function open(id, again = false) {
  if (state.shown === id && !again) return;
  state.source?.close();
  state.source = null;
  state.shown = id;
  answer.clear();
  select(id);
  for (const part of ["working", "gone"]) $(part).hidden = true;
  if (!again) $("view").hidden = true;
  if (id === null) return;
  let found;
  try {
    found = await ask(`v1/analyses/${encodeURIComponent(id)}`);
  } catch (error) {
    if (state.shown === id) {
      notice(error.message);
      location.hash = "videos";
    }
    return;
  }
  if (state.shown !== id) return;
  refresh();
  $("view").hidden = false;
  write($("name"), found.name);
  if (!again) focusOpened($("name"));
  if (found.state === "done") answer.show(found, { remove, changed: refresh });
  else if (found.state === "failed") failed(found.error);
  else follow(found);
  if ($("verdict").textContent) announce(`${found.name}: ${$("verdict").textContent}`);
}

function failed(error) {
  write($("verdict"), `No answer: ${error}`, "verdict alarm");
  $("gone").hidden = false;
}

function follow(found) {
  $("working").hidden = $("gone").hidden = false;
  $("first").hidden = true;
  write($("verdict"), "", "verdict");
  write($("draft"), "");
  const looked = (share) => {
    $("bar").value = share;
    const seen = share > 0 ? `Looking: ${Math.round(share * 100)} % seen` : "Waiting for its turn";
    write($("stage"), share < 1 ? seen : "Writing the explanation");
  };
  looked(found.progress);
  const source = new EventSource(`v1/analyses/${found.id}/events`);
  state.source = source;
  const on = (kind, act) => source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
  on("progress", ({ progress }) => looked(progress));
  on("first_scores", ({ times, scores }) => {
    if (times.length < 2) return;
    const step = times[1] - times[0];
    $("first").hidden = false;
    draw($("first"), { from: 0, to: times.at(-1) + step, times, scores, step, every: Infinity, spans: [] });
  });
  on("writing", ({ text }) => write($("draft"), `${text} …`));
  const end = () => {
    source.close();
    if (state.shown === found.id) open(found.id, true);
  };
  on("done", end);
  on("failed", end);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED && state.shown === found.id) {
      setTimeout(() => { if (state.shown === found.id) open(found.id, true); }, 2000);
    }
  });
}

async function remove() {
  const id = state.shown;
  if (!id || !confirm("Delete this video and what was found?")) return;
  const next = neighbour($("list"), id, $("file"));
  answer.clear(); // whose pictures may still be on their way
  try {
    await ask(`v1/analyses/${id}`, { method: "DELETE" });
    location.hash = "videos";
    await refresh();
    announce("Deleted.");
    next.focus();
  } catch (error) {
    notice(error.message);
    open(id, true);
  }
}

$("discard").addEventListener("click", remove);
$("more").addEventListener("click", () => { state.limit = Math.min(200, state.limit + PAGE); refresh(); });
$("file").addEventListener("change", () => { submit([...$("file").files]); $("file").value = ""; });
refresh();
