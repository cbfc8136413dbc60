// The page: drop a video, follow its analysis, look at what happened, when, and why.
const $ = (id) => document.getElementById(id);
const state = { shown: null, source: null, result: null };

const clock = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};
const spaced = (label) => label.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
const make = (tag, text = "", className = "") => {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
};
const notice = (text) => { $("notice").textContent = text; };

async function ask(path, options = {}) {
  const response = await fetch(path, options);
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail || `the server answered ${response.status}`);
  return body;
}

async function submit(files) {
  for (const file of files) {
    notice("");
    const form = new FormData();
    form.append("video", file);
    try {
      const accepted = await ask("v1/analyses", { method: "POST", body: form });
      await refresh();
      show(accepted.id);
    } catch (error) {
      notice(`${file.name}: ${error.message}`);
    }
  }
}

function saying(item) {
  if (item.state === "queued") return ["waiting", ""];
  if (item.state === "running") return [`${Math.round(item.progress * 100)} %`, ""];
  if (item.state === "failed") return ["failed", "alarm"];
  return item.label === "Normal" ? ["ordinary", "calm"] : [spaced(item.label), "alarm"];
}

async function refresh() {
  let page;
  try {
    page = await ask("v1/analyses?limit=30");
  } catch (error) {
    notice(error.message);
    return;
  }
  $("empty").hidden = page.items.length > 0;
  const focused = document.activeElement?.dataset?.id;
  $("list").replaceChildren(...page.items.map((item) => {
    const button = make("button");
    button.type = "button";
    button.dataset.id = item.id;
    button.setAttribute("aria-current", String(item.id === state.shown));
    const [text, kind] = saying(item);
    button.append(make("b", item.name), make("span", text, `tag ${kind}`));
    const when = new Date(item.created * 1000).toLocaleString();
    const judged = item.triage === "open" ? "" : ` · ${item.triage}`;
    button.append(make("small", when + judged));
    button.addEventListener("click", () => show(item.id));
    const row = make("li");
    row.append(button);
    return row;
  }));
  if (focused) document.querySelector(`[data-id="${focused}"]`)?.focus();
}

async function show(id) {
  state.source?.close();
  state.shown = id;
  state.result = null;
  location.hash = id;
  $("view").hidden = false;
  $("answer").hidden = true;
  $("player").removeAttribute("src");
  for (const button of document.querySelectorAll("#list button")) {
    button.setAttribute("aria-current", String(button.dataset.id === id));
  }
  let found;
  try {
    found = await ask(`v1/analyses/${id}`);
  } catch (error) {
    $("view").hidden = true;
    notice(error.message);
    return;
  }
  if (state.shown !== id) return;
  $("name").textContent = found.name;
  if (found.state === "done") return answer(found);
  if (found.state === "failed") return failed(found.error);
  follow(id);
}

function follow(id) {
  $("working").hidden = false;
  $("verdict").textContent = "";
  $("stage").textContent = "Waiting for its turn";
  $("bar").value = 0;
  const source = new EventSource(`v1/analyses/${id}/events`);
  state.source = source;
  source.addEventListener("progress", (event) => {
    const share = JSON.parse(event.data).progress;
    $("bar").value = share;
    $("stage").textContent = share < 1 ? `Looking: ${Math.round(share * 100)} % seen` : "Writing the explanation";
  });
  const end = () => { source.close(); refresh(); show(id); };
  source.addEventListener("done", end);
  source.addEventListener("failed", end);
}

function failed(error) {
  $("working").hidden = true;
  $("verdict").textContent = `No answer: ${error}`;
  $("verdict").className = "alarm";
}

const kindOf = (result, label) => `kind${Math.max(0, result.classes.indexOf(label) - 1) % 6}`;

function answer(found) {
  const result = found.result;
  state.result = result;
  $("working").hidden = true;
  $("answer").hidden = false;
  const calm = result.events.length === 0;
  const kinds = [...new Set(result.events.map((event) => spaced(event.label)))].join(", ");
  $("verdict").textContent = calm ? "Nothing abnormal found" : `Abnormal: ${kinds}`;
  $("verdict").className = calm ? "calm" : "alarm";
  $("player").src = `v1/analyses/${found.id}/video`;
  $("end").textContent = clock(result.duration);
  draw(result);
  $("events").replaceChildren(...result.events.map((event) => {
    const button = make("button");
    button.type = "button";
    const label = make("span");
    label.append(make("span", "", `dot ${kindOf(result, event.label)}`), spaced(event.label));
    button.append(label, make("span", `${clock(event.start)} – ${clock(event.end)}`, "tag"));
    button.addEventListener("click", () => jump(event.start));
    const row = make("li");
    row.append(button);
    return row;
  }));
  if (calm) $("events").append(make("li", "None above the alarm line.", "tag"));
  const why = result.explanation;
  $("summary").textContent = why ? why.summary : "This detector was trained without explanations.";
  $("reason").textContent = why ? why.reason : "";
  $("evidence").replaceChildren(...(why ? why.evidence.slice(0, 4) : []).map((number) => {
    const caption = result.captions[number - 1];
    const button = make("button");
    button.type = "button";
    const picture = make("img");
    picture.src = `v1/analyses/${found.id}/frames/${number}`;
    picture.alt = "";
    picture.loading = "lazy";
    button.append(picture, make("small", clock(caption.time)), make("span", caption.text));
    button.addEventListener("click", () => jump(caption.time));
    const row = make("li");
    row.append(button);
    return row;
  }));
  judged(found.triage);
  $("report").href = `v1/analyses/${found.id}/report`;
  $("model").textContent = [result.model, ...result.problems].join(" · ");
}

const SVG = "http://www.w3.org/2000/svg";
function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function draw(result) {
  const x = (time) => (1000 * time) / Math.max(result.duration, 0.001);
  const y = (score) => 140 - 130 * score;
  const points = result.times.flatMap((time, n) => {
    const next = result.times[n + 1] ?? result.duration;
    return [`${x(time)},${y(result.scores[n])}`, `${x(next)},${y(result.scores[n])}`];
  });
  const events = result.events.map((event) => shape("rect", {
    x: x(event.start), y: 0, height: 150, width: Math.max(3, x(event.end) - x(event.start)),
    class: `event ${kindOf(result, event.label)}`,
  }));
  const limit = y(result.threshold);
  $("timeline").replaceChildren(
    ...events,
    shape("line", { x1: 0, x2: 1000, y1: limit, y2: limit, class: "limit" }),
    shape("polyline", { points: points.join(" "), class: "score" }),
    shape("line", { id: "now", x1: 0, x2: 0, y1: 0, y2: 150, class: "now" }),
  );
  const spoken = result.events.map((e) => `${spaced(e.label)} from ${clock(e.start)} to ${clock(e.end)}`);
  $("timeline").setAttribute("aria-label", `Anomaly score over time. ${spoken.join("; ") || "No events."}`);
}

function jump(time) {
  $("player").currentTime = time;
  $("player").scrollIntoView({ block: "nearest" });
}

function judged(triage) {
  for (const button of $("triage").children) {
    button.setAttribute("aria-pressed", String(button.dataset.triage === triage));
  }
}

$("player").addEventListener("timeupdate", () => {
  if (!state.result) return;
  const at = (1000 * $("player").currentTime) / Math.max(state.result.duration, 0.001);
  $("now")?.setAttribute("x1", at);
  $("now")?.setAttribute("x2", at);
});
$("timeline").addEventListener("click", (event) => {
  if (!state.result) return;
  const box = $("timeline").getBoundingClientRect();
  jump(((event.clientX - box.left) / box.width) * state.result.duration);
});
$("triage").addEventListener("click", async (event) => {
  const triage = event.target.dataset.triage;
  if (!triage || !state.shown) return;
  try {
    const body = JSON.stringify({ triage });
    const headers = { "Content-Type": "application/json" };
    const kept = await ask(`v1/analyses/${state.shown}`, { method: "PATCH", headers, body });
    judged(kept.triage);
    refresh();
  } catch (error) {
    notice(error.message);
  }
});
$("delete").addEventListener("click", async () => {
  if (!state.shown || !confirm("Delete this video and what was found?")) return;
  try {
    await ask(`v1/analyses/${state.shown}`, { method: "DELETE" });
    state.shown = null;
    location.hash = "";
    $("view").hidden = true;
    refresh();
  } catch (error) {
    notice(error.message);
  }
});
document.addEventListener("keydown", (event) => {
  if (!state.result || event.target.closest("input, button, video, a")) return;
  const events = state.result.events.map((each) => each.start);
  const now = $("player").currentTime;
  if (event.key === "j") jump(events.find((start) => start > now + 0.3) ?? events[0] ?? now);
  else if (event.key === "k") jump(events.findLast((start) => start < now - 0.3) ?? events.at(-1) ?? now);
  else if (event.key === " ") $("player").paused ? $("player").play() : $("player").pause();
  else return;
  event.preventDefault();
});
$("file").addEventListener("change", () => { submit([...$("file").files]); $("file").value = ""; });
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") submit([...event.dataTransfer.files]);
  });
}
await refresh();
if (location.hash.length > 1) show(location.hash.slice(1));
setInterval(refresh, 5000);
