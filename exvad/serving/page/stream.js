// One live stream: where it stands, its score of the last five minutes, its alerts.
import { updateAlerts } from "./alerts.js";
import { $, clock, focusOpened, make, rows, spaced, write } from "./dom.js";
import { describe, draw, kindOf, readable } from "./draw.js";

const SHOWN_SECONDS = 300;
const LEAST_SECONDS = 60;
const AGAIN_MILLISECONDS = 4000;
const WORDS = { waiting: "waiting", watching: "watching", lost: "source lost", ended: "ended" };
const state = { id: null, acts: null, source: null, found: null, times: [], scores: [], drawing: 0, connected: 0 };

export function close() {
  state.source?.close();
  cancelAnimationFrame(state.drawing);
  Object.assign(state, { id: null, source: null, found: null, times: [], scores: [], drawing: 0 });
}

export function open(id, acts) {
  Object.assign(state, { id, acts });
  $("alerts").replaceChildren();
  connect();
}

// A browser connects again by itself, but not where the server, or what is before it, refused.
function connect() {
  const source = new EventSource(`v1/streams/${encodeURIComponent(state.id)}/events`);
  Object.assign(state, { source, connected: performance.now() });
  source.addEventListener("scores", (event) => {
    const { times, scores } = JSON.parse(event.data);
    take(times, scores);
  });
  // What the server says of the stream as a whole is newer than any event that is told again.
  for (const kind of ["alert", "notice"]) source.addEventListener(kind, later);
  source.addEventListener("ended", () => {
    source.close();
    later();
  });
  source.addEventListener("error", later);
}

let waiting = 0;
function later() {
  clearTimeout(waiting);
  waiting = setTimeout(() => state.acts?.refresh(), 150);
}

// A growing file that is read again tells scores once more: time only goes on.
function take(times, scores) {
  times.forEach((time, n) => {
    if (state.times.length && time <= state.times.at(-1)) return;
    state.times.push(time);
    state.scores.push(scores[n]);
  });
  const old = state.times.findIndex((time) => time >= state.times.at(-1) - SHOWN_SECONDS);
  state.times.splice(0, old);
  state.scores.splice(0, old);
  numbers();
  plan();
}

function plan() {
  state.drawing ||= requestAnimationFrame(() => {
    state.drawing = 0;
    if (state.found) chart();
  });
}

export function update(found) {
  if (found.id !== state.id) return;
  const opening = state.found === null;
  const closed = state.source.readyState === EventSource.CLOSED && found.state !== "ended";
  if (closed && performance.now() - state.connected > AGAIN_MILLISECONDS) connect();
  state.found = found;
  $("stream").hidden = false;
  write($("stream-name"), found.name);
  write($("stream-state"), WORDS[found.state], found.state === "lost" ? "alarm" : "");
  write($("stream-delay"), found.delay === null ? "–" : `${found.delay.toFixed(1)} s`);
  write($("stream-dropped"), found.dropped ? `${found.dropped} pictures` : "nothing");
  write($("stream-notice"), found.notice ?? "");
  write($("stop"), found.state === "ended" ? "Forget" : "Stop and forget");
  numbers();
  plan();
  updateAlerts(found, state.acts);
  if (opening) focusOpened($("stream-name"));
}

function numbers() {
  if (!state.found) return;
  const { found, times, scores } = state;
  const newer = times.length > 0 && times.at(-1) >= (found.seconds ?? 0);
  const [seconds, score] = newer ? [times.at(-1), scores.at(-1)] : [found.seconds, found.score];
  const hot = score !== null && found.threshold !== null && score > found.threshold;
  write($("stream-score"), score === null ? "–" : score.toFixed(2), hot ? "alarm" : "");
  write($("stream-seconds"), seconds === null ? "–" : clock(seconds));
}

function typicalStep(times) {
  if (times.length < 2) return 1;
  const steps = times.slice(1).map((time, n) => time - times[n]).sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)];
}

function chart() {
  const { found, times, scores } = state;
  const step = typicalStep(times);
  const to = Math.max(times.at(-1) ?? 0, found.seconds ?? 0) + step;
  const shown = Math.min(SHOWN_SECONDS, Math.max(LEAST_SECONDS, to - (times[0] ?? to)));
  const from = to - shown;
  write($("since"), shown === SHOWN_SECONDS ? "5 min ago" : `${clock(shown)} ago`);
  const alerts = found.alerts.filter((alert) => alert.end >= from);
  const spans = alerts.map((alert) => ({ ...alert, kind: kindOf(found.classes, alert.label) }));
  draw($("rolling"), { from, to, times, scores, step, threshold: found.threshold, spans, every: 60 });
  describe($("rolling"), "Anomaly score of the last five minutes.", alerts);
  const labels = [...new Set(alerts.map((alert) => alert.label))];
  const entries = labels.map((label) => [spaced(label), `dot ${kindOf(found.classes, label)}`]);
  if (found.threshold !== null) {
    entries.push([`an alert begins above ${found.threshold.toFixed(2)}`, "dash"]);
  }
  rows($("legend"), entries, ([text]) => text, () => {
    const row = make("li");
    row.append(make("span"), make("span"));
    return row;
  }, (row, [text, mark]) => {
    write(row.children[0], "", mark);
    write(row.children[1], text);
  });
}

readable($("rolling"), $("live-reading"), (time, score) => {
  const ago = clock(Math.max(0, $("rolling").chart.to - time));
  return `${ago} ago · score ${score.toFixed(2)}`;
});
