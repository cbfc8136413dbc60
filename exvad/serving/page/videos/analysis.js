// The result of one analysis: video, timeline, events, explanation with its evidence, review.
import { sendJson } from "../shared/api.js";
import { classColour, describeChart, drawChart, moveCursor, showReadout, timeAtPointer } from "../shared/chart.js";
import { $, makeButton, makeElement, setText } from "../shared/dom.js";
import { formatAllCaptions, formatClass, formatDuration, formatPercent, formatScore } from "../shared/format.js";
import { describeDisagreement, makeTriageButtons, showTriage } from "../shared/review.js";
import { clearReview, showReview } from "./event-review.js";

const MAX_EVIDENCE = 4;
const STEP_TOLERANCE = 0.3; // seconds: an event that begins this close is the current one

const state = { analysis: null, actions: null, time: 0, isSaving: false };
const player = $("player");

/**
 * Whether a result is shown.
 * @returns {boolean}
 */
export const isShown = () => state.analysis !== null;

/** Hide the result and stop loading its video and images. */
export function clear() {
  state.analysis = null;
  clearReview();
  $("result").hidden = true;
  $("evidence").replaceChildren();
  $("frame").removeAttribute("src");
  if (player.hasAttribute("src")) {
    player.removeAttribute("src");
    player.load();
  }
}

/**
 * Show the result of an analysis.
 * @param {object} analysis - an AnalysisStatus of the HTTP API with its result
 * @param {{notice: Notice, onChange: () => void, onDelete: () => void}} actions - called when the
 *     triage state has changed, and to delete the analysis
 */
export function show(analysis, actions) {
  Object.assign(state, { analysis, actions, time: 0 });
  const { result } = analysis;
  $("result").hidden = false;
  showVerdict(result);
  showVideo(analysis);
  showTimeline(result);
  showEvents(result);
  showExplanation(result);
  showEvidence(analysis);
  showCaptions(result);
  showTriage($("triage"), analysis.triage);
  showReview(analysis, { ...actions, player: { time: () => state.time, seek } });
  showDetails(analysis);
}

/**
 * Show what has changed about the analysis that is shown: its review, by another tab or person.
 * @param {object} status - an AnalysisStatus of the HTTP API
 */
export function update(status) {
  if (state.analysis?.id !== status.id) return;
  if (!state.isSaving) showTriage($("triage"), status.triage);
}

/**
 * Seek to the next or the previous event, around the end.
 * @param {1|-1} direction
 */
export function stepEvent(direction) {
  const { time } = state;
  const starts = state.analysis.result.events.map((event) => event.start);
  const next = () => starts.find((start) => start > time + STEP_TOLERANCE) ?? starts[0];
  const previous = () => starts.findLast((start) => start < time - STEP_TOLERANCE) ?? starts.at(-1);
  seek((direction > 0 ? next() : previous()) ?? time);
}

/** Play the video, or pause it. */
export function togglePlay() {
  if (player.hidden) return;
  if (player.paused) player.play().catch(() => {});
  else player.pause();
}

function showVerdict({ domain, events }) {
  setText($("domain"), domain?.state === "outside" ? domain.text : "");
  const labels = [...new Set(events.map((event) => formatClass(event.label)))].join(", ");
  if (labels) setText($("verdict"), `Abnormal: ${labels}`, "verdict alarm");
  else setText($("verdict"), "No anomaly detected", "verdict normal");
}

function showVideo(analysis) {
  player.hidden = false;
  $("frame").hidden = $("unplayable").hidden = true;
  player.src = `v1/analyses/${analysis.id}/video`;
}

function showTimeline({ classes, duration, events, scores, threshold, times }) {
  const step = (times[1] ?? duration) - times[0];
  const gridStep = duration > 600 ? 300 : duration > 90 ? 60 : 10;
  const spans = events.map((event) => ({ ...event, colour: classColour(classes, event.label) }));
  drawChart($("timeline"), { from: 0, to: duration, times, scores, step, threshold, spans, gridStep });
  describeChart($("timeline"), "Anomaly score over time.", events);
  setText($("duration"), formatDuration(duration));
  setText($("threshold"), `threshold ${formatScore(threshold)}`);
}

function showEvents({ classes, events }) {
  $("no-events").hidden = events.length > 0;
  $("events").replaceChildren(...events.map((event) => {
    const label = makeElement("span");
    const dot = makeElement("span", "", `dot ${classColour(classes, event.label)}`);
    label.append(dot, formatClass(event.label));
    const span = `${formatDuration(event.start)} – ${formatDuration(event.end)}`;
    const confidence = makeElement("small", `confidence ${formatPercent(event.confidence)}`);
    confidence.title = "The share of validation videos with this score that were abnormal";
    return makeSeekRow(event.start, label, makeElement("span", span, "tag"), confidence);
  }));
}

function showExplanation({ captions, disagreement, events, explanation }) {
  const none = captions.length ? "No explanation was generated." : "This analysis has no explanation.";
  setText($("explanation-summary"), explanation?.summary ?? none);
  setText($("explanation-reason"), explanation?.reason ?? "");
  // Results that an earlier version stored have no such sentence.
  setText($("disagreement"), disagreement ?? describeDisagreement(events.map((event) => event.label), explanation));
}

function showEvidence({ id, result: { captions, explanation } }) {
  const cited = (explanation?.evidence ?? []).filter((number) => captions[number - 1]);
  $("evidence-title").hidden = cited.length === 0;
  $("evidence").replaceChildren(...cited.slice(0, MAX_EVIDENCE).map((number) => {
    const { time, text } = captions[number - 1];
    const image = makeElement("img");
    image.src = `v1/analyses/${id}/frames/${number}`;
    image.alt = "";
    image.loading = "lazy";
    return makeSeekRow(time, image, makeElement("small", formatDuration(time)), makeElement("span", text));
  }));
}

function showCaptions({ captions }) {
  $("all-captions").hidden = captions.length === 0;
  $("all-captions").open = false;
  setText($("all-captions").querySelector("summary"), formatAllCaptions(captions.map(({ text }) => text)));
  $("captions").replaceChildren(...captions.map(({ time, text }) => (
    makeSeekRow(time, makeElement("small", formatDuration(time)), makeElement("span", text)))));
}

function showDetails({ id, result }) {
  const unknown = result.domain?.state === "unknown" ? [result.domain.text] : [];
  const untrained = result.untrained.map((label) => (
    `${formatClass(label)}: the model was not trained on this class`));
  $("report").href = `v1/analyses/${id}/report`;
  $("warnings").replaceChildren(...[...result.problems, ...unknown, ...untrained].map((text) => makeElement("li", text)));
  setText($("model"), `Model ${result.model}`);
}

// Make a list row with a button that seeks to a time.
function makeSeekRow(time, ...content) {
  const button = makeButton();
  button.append(...content);
  button.addEventListener("click", () => seek(time));
  const row = makeElement("li");
  row.append(button);
  return row;
}

function seek(time) {
  state.time = time;
  player.currentTime = time + lead();
  moveCursor($("timeline"), time);
  if (player.hidden) showFrame(time);
  (player.hidden ? $("frame") : player).scrollIntoView({ block: "nearest" });
}

// Sound may begin before the first frame: players count from the sound on, analyses from the frame.
function lead() {
  return state.analysis.result.lead ?? 0;
}

// Show the captioned frame at a time, for a video that the browser cannot play.
function showFrame(time) {
  const { id, result: { captions } } = state.analysis;
  const index = Math.max(0, captions.findLastIndex((caption) => caption.time <= time + 0.01));
  $("frame").hidden = captions.length === 0;
  if (captions.length) $("frame").src = `v1/analyses/${id}/frames/${index + 1}`;
}

async function saveTriage(triage) {
  if (!state.analysis) return;
  state.isSaving = true;
  try {
    const saved = await sendJson(`v1/analyses/${state.analysis.id}`, "PATCH", { triage });
    showTriage($("triage"), saved.triage);
    state.actions.onChange();
  } catch (error) {
    state.actions.notice.show(error.message);
  } finally {
    state.isSaving = false;
  }
}

player.addEventListener("timeupdate", () => {
  if (!state.analysis) return;
  state.time = player.currentTime - lead();
  moveCursor($("timeline"), state.time);
});
player.addEventListener("error", () => {
  if (!state.analysis || !player.hasAttribute("src")) return;
  player.hidden = true;
  $("unplayable").hidden = false;
  showFrame(state.time);
});
$("timeline").addEventListener("click", (event) => {
  if (state.analysis) seek(timeAtPointer($("timeline"), event));
});
showReadout($("timeline"), $("timeline-readout"), (time, score) => (
  `${formatDuration(time)} · score ${formatScore(score)}`));
makeTriageButtons($("triage"), saveTriage);
$("delete").addEventListener("click", () => state.actions?.onDelete());
