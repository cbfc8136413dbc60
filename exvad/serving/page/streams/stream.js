// One live stream: its state, the score of the last five minutes, and its alerts.
import { showAlerts } from "./alerts.js";
import { showDay } from "./day.js";
import { classColour, describeChart, drawChart, showReadout } from "../shared/chart.js";
import { $, focusHeading, makeElement, setText } from "../shared/dom.js";
import {
  formatClass,
  formatCount,
  formatDuration,
  formatNotice,
  formatScore,
  formatTimestamp,
} from "../shared/format.js";
import { updateList } from "../shared/list.js";

/** Texts for the states of a stream. */
export const STATES = { waiting: "waiting", watching: "watching", lost: "source lost", ended: "ended" };

const MAX_SECONDS = 300; // of the chart
const MIN_SECONDS = 60;
const RECONNECT_MS = 4000;
const REFRESH_DELAY_MS = 150;
const FIRST_ALERTS = 100;

const state = { actions: null, connected: 0, refreshTimer: 0, ...closedState() };

/**
 * Open a stream and follow its scores.
 * @param {string} id
 * @param {{notice: Notice, refresh: () => void}} actions - `refresh` requests the status of the
 *     stream, which arrives through `update`
 */
export function open(id, actions) {
  Object.assign(state, { id, actions });
  $("alerts").replaceChildren();
  connect();
}

/**
 * How many alerts of the open stream are shown, at most.
 * @returns {number}
 */
export const alertLimit = () => state.alertLimit;

/** Close the open stream. */
export function close() {
  state.eventSource?.close();
  cancelAnimationFrame(state.drawing);
  Object.assign(state, closedState());
}

/**
 * Show the newest status of the open stream.
 * @param {object} stream - a StreamStatus of the HTTP API
 */
export function update(stream) {
  if (stream.id !== state.id) return;
  const isNew = state.stream === null;
  state.stream = stream;
  reconnectIfRefused();
  $("stream").hidden = false;
  showStatus(stream);
  showScore();
  scheduleChart();
  showAlerts(stream, state.actions);
  showDay(stream);
  $("more-alerts").hidden = stream.num_alerts <= stream.alerts.length;
  if (isNew) focusHeading($("stream-name"));
}

function closedState() {
  return {
    id: null, eventSource: null, stream: null, times: [], scores: [], drawing: 0,
    alertLimit: FIRST_ALERTS,
  };
}

function connect() {
  const eventSource = new EventSource(`v1/streams/${encodeURIComponent(state.id)}/events`);
  Object.assign(state, { eventSource, connected: performance.now() });
  eventSource.addEventListener("scores", (event) => addScores(JSON.parse(event.data)));
  // The status is newer than an event that the server repeats after a reconnection.
  for (const kind of ["alert", "notice", "error"]) eventSource.addEventListener(kind, scheduleRefresh);
  eventSource.addEventListener("ended", () => {
    eventSource.close();
    scheduleRefresh();
  });
}

// A browser reconnects by itself after a lost connection, but not after a refused one.
function reconnectIfRefused() {
  const isClosed = state.eventSource.readyState === EventSource.CLOSED && state.stream.state !== "ended";
  if (isClosed && performance.now() - state.connected > RECONNECT_MS) connect();
}

function scheduleRefresh() {
  clearTimeout(state.refreshTimer);
  state.refreshTimer = setTimeout(() => state.actions.refresh(), REFRESH_DELAY_MS);
}

// A growing file that is read again repeats its scores: only later times are added.
function addScores({ times, scores }) {
  times.forEach((time, index) => {
    if (state.times.length && time <= state.times.at(-1)) return;
    state.times.push(time);
    state.scores.push(scores[index]);
  });
  const firstShown = state.times.findIndex((time) => time >= state.times.at(-1) - MAX_SECONDS);
  state.times.splice(0, firstShown);
  state.scores.splice(0, firstShown);
  showScore();
  scheduleChart();
}

function showStatus(stream) {
  setText($("stream-name"), stream.name);
  setText($("stream-state"), STATES[stream.state], stream.state === "lost" ? "alarm" : "");
  setText($("stream-delay"), stream.delay === null ? "–" : `${stream.delay.toFixed(1)} s`);
  setText($("stream-dropped"), formatCount(stream.dropped, "frame"));
  setText($("stream-domain"), stream.domain);
  setText($("stream-notice"), formatNotice(stream));
  setText($("stop"), stream.state === "ended" ? "Delete" : "Stop watching");
}

function showScore() {
  if (!state.stream) return;
  const { stream, times, scores } = state;
  const isFollowing = times.length > 0 && times.at(-1) >= (stream.seconds ?? 0);
  const [seconds, score] = isFollowing ? [times.at(-1), scores.at(-1)] : [stream.seconds, stream.score];
  const isHigh = score !== null && stream.threshold !== null && score > stream.threshold;
  setText($("stream-score"), score === null ? "–" : formatScore(score), isHigh ? "alarm" : "");
  setText($("stream-seconds"), seconds === null ? "–" : formatDuration(seconds));
}

function scheduleChart() {
  state.drawing ||= requestAnimationFrame(() => {
    state.drawing = 0;
    if (state.stream) showChart();
  });
}

function showChart() {
  const { stream, times, scores } = state;
  const step = medianStep(times);
  const to = Math.max(times.at(-1) ?? 0, stream.seconds ?? 0) + step;
  const seconds = Math.min(MAX_SECONDS, Math.max(MIN_SECONDS, to - (times[0] ?? to)));
  const from = to - seconds;
  const alerts = stream.alerts.filter((alert) => alert.end >= from);
  const spans = alerts.map((alert) => ({ ...alert, colour: classColour(stream.classes, alert.label) }));
  const { threshold } = stream;
  drawChart($("live-chart"), { from, to, times, scores, step, threshold, spans, gridStep: 60 });
  describeChart($("live-chart"), "Anomaly score of the newest five minutes.", alerts);
  setText($("live-chart-start"), formatClock(from));
  setText($("live-chart-end"), times.length ? `newest ${formatClock(times.at(-1))}` : "");
  showLegend(stream, alerts);
}

// The time of day of a time of the stream; empty where the server has none, as of old streams.
function formatClock(time) {
  const { seconds, scored_at: scoredAt } = state.stream;
  return scoredAt === null ? "" : formatTimestamp(scoredAt - seconds + time);
}

function medianStep(times) {
  if (times.length < 2) return 1;
  const steps = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)];
}

function showLegend({ classes, threshold }, alerts) {
  const labels = [...new Set(alerts.map((alert) => alert.label))];
  const entries = labels.map((label) => [formatClass(label), `dot ${classColour(classes, label)}`]);
  if (threshold !== null) entries.push([`alert threshold ${formatScore(threshold)}`, "dash"]);
  const makeRow = () => {
    const row = makeElement("li");
    row.append(makeElement("span"), makeElement("span"));
    return row;
  };
  updateList($("legend"), entries, ([text]) => text, makeRow, (row, [text, mark]) => {
    setText(row.children[0], "", mark);
    setText(row.children[1], text);
  });
}

$("more-alerts").addEventListener("click", () => {
  state.alertLimit *= 2;
  state.actions.refresh();
});
showReadout($("live-chart"), $("live-chart-readout"), (time, score) => (
  [formatClock(time), `score ${formatScore(score)}`].filter(Boolean).join(" · ")));
