// The review of a video's events for labels: confirm, reject, correct and add them. It is shown only
// where the server writes a manifest; elsewhere an analysis has the triage buttons.
import { requestJson, sendJson } from "../shared/api.js";
import { $, announce, makeButton, makeElement, setText } from "../shared/dom.js";
import { formatTime, parseTime } from "../shared/times.js";

const NEW_EVENT_SECONDS = 5;

const DECISIONS = {
  open: "To decide", confirmed: "Confirmed", rejected: "Rejected", added: "Added",
};

/**
 * @typedef {object} Player
 * @property {() => number} time - seconds at which the video is
 * @property {(time: number) => void} seek
 */

// `events` are those of the API; the page changes them and sends all of them.
// Whether the server writes a manifest is unknown at first.
const state = { analysis: null, actions: null, events: [], summary: null, isLabelling: null };

/**
 * Show the review of an analysis if the server writes a manifest.
 * @param {object} analysis - an AnalysisStatus of the HTTP API with its result
 * @param {{notice: Notice, onChange: () => void, player: Player}} actions - `onChange` is called
 *     when a review was saved
 */
export async function showReview(analysis, actions) {
  Object.assign(state, { analysis, actions });
  state.events = readEvents(analysis);
  try {
    showSummary(await requestJson("v1/reviews"));
  } catch (error) {
    actions.notice.show(error.message);
  }
  if (state.analysis?.id === analysis.id) showEvents();
}

/**
 * Load how many videos are reviewed.
 * @returns {Promise<object|null>} a ReviewSummary of the HTTP API; null where the server writes no
 *     manifest
 */
export async function loadSummary() {
  if (state.isLabelling === false) return null;
  const summary = await requestJson("v1/reviews");
  state.isLabelling = summary.manifest !== null;
  return state.isLabelling ? summary : null;
}

/** Hide the review. */
export function clearReview() {
  state.analysis = null;
  $("event-review").hidden = true;
}

// The events of the stored review, or those that were detected, about which nobody has decided.
function readEvents({ review, result }) {
  const detected = result.events.map(({ start, end, label }) => (
    { start, end, label, decision: "open" }));
  return (review?.events ?? detected).map((event) => ({ ...event }));
}

function showSummary(summary) {
  state.summary = summary;
  const isLabelling = summary.manifest !== null;
  $("event-review").hidden = !isLabelling || !state.analysis;
  $("plain-review").hidden = isLabelling;
  setText($("label-summary"), summary.text);
  setText($("label-advice"), summary.advice);
  $("next-video").hidden = summary.next === null || summary.next === state.analysis?.id;
}

function showEvents() {
  const { analysis: { result, review }, events, summary } = state;
  if (!summary) return;
  const labels = [...new Set([...result.classes.slice(1), ...summary.labels])];
  $("event-labels").replaceChildren(...labels.map((label) => {
    const option = makeElement("option");
    option.value = label;
    return option;
  }));
  keepFocus($("reviewed-events"), () => $("reviewed-events").replaceChildren(...events.map(makeRow)));
  const isOpen = events.some(({ decision }) => decision === "open");
  $("no-event").hidden = !isOpen && (events.length > 0 || Boolean(review));
  setText($("no-event"), events.length ? "Reject all others" : "Nothing abnormal happens");
  $("undo-review").hidden = !review;
  setText($("review-state"), describeReview(review));
}

// Draw a list anew. The same control of the same row has the focus afterwards.
function keepFocus(list, draw) {
  const controls = (row) => [...(row?.querySelectorAll("input, button") ?? [])];
  const rows = [...list.children];
  const index = rows.findIndex((row) => row.contains(document.activeElement));
  const control = controls(rows[index]).indexOf(document.activeElement);
  draw();
  controls(list.children[index])[control]?.focus();
}

function describeReview(review) {
  if (!review) return "Nobody has looked at this video yet.";
  const count = review.events.filter(({ decision }) => decision === "open").length;
  if (count) return `Events to decide: ${count}`;
  const happens = review.events.some(({ decision }) => decision !== "rejected");
  return happens ? "Reviewed: abnormal" : "Reviewed: normal";
}

function makeRow(event, index) {
  const row = makeElement("li", "", event.decision);
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", `Event ${index + 1}`);
  const label = makeField("Class", event, event.label, (text) => { event.label = text.trim(); });
  label.querySelector("input").setAttribute("list", "event-labels");
  const times = makeElement("div", "", "times");
  times.append(makeTime("Start", event, "start"), makeTime("End", event, "end"));
  const play = makeButton("Play");
  play.addEventListener("click", () => state.actions.player.seek(event.start));
  const buttons = makeElement("div", "", "actions");
  buttons.append(play, ...makeDecisions(event));
  row.append(makeElement("b", DECISIONS[event.decision]), label, times, buttons);
  return row;
}

function makeDecisions(event) {
  if (event.decision === "added") {
    return [makeAction("Remove", () => state.events.filter((other) => other !== event))];
  }
  return [["Confirm", "confirmed"], ["Reject", "rejected"]].map(([text, decision]) => {
    const button = makeAction(text, () => {
      event.decision = decision;
      return state.events;
    });
    button.setAttribute("aria-pressed", String(event.decision === decision));
    return button;
  });
}

function makeAction(text, change) {
  const button = makeButton(text);
  button.addEventListener("click", () => save(change()));
  return button;
}

function makeTime(name, event, key) {
  const field = makeField(name, event, formatTime(event[key]), (text) => {
    const time = parseTime(text);
    if (time === null) throw new Error(`${name}: write a time such as 1:05.2, or seconds`);
    event[key] = limit(time);
  });
  const now = makeButton("Now");
  now.title = `The ${name.toLowerCase()} is where the video is now`;
  now.addEventListener("click", () => {
    event[key] = limit(state.actions.player.time());
    saveCorrection(event);
  });
  now.setAttribute("aria-label", `${name}: now`);
  const group = makeElement("span");
  group.append(field, now);
  return group;
}

// A correction confirms an event.
function makeField(name, event, value, change) {
  const field = makeElement("label", `${name} `);
  const input = makeElement("input");
  input.value = value;
  input.autocomplete = "off";
  input.addEventListener("change", () => {
    try {
      change(input.value);
    } catch (error) {
      state.actions.notice.show(error.message);
      return;
    }
    saveCorrection(event);
  });
  field.append(input);
  return field;
}

function saveCorrection(event) {
  if (event.decision !== "added") event.decision = "confirmed";
  save(state.events);
}

function limit(time) {
  return Math.min(Math.max(0, time), state.analysis.result.duration);
}

function addEvent() {
  const { result } = state.analysis;
  const start = Math.min(limit(state.actions.player.time()), Math.max(0, result.duration - 0.5));
  const end = limit(start + NEW_EVENT_SECONDS);
  const label = state.events.at(-1)?.label ?? state.summary.labels[0] ?? result.classes[1];
  save([...state.events, { start, end, label, decision: "added" }]);
}

function rejectOpen() {
  save(state.events.map((event) => (
    event.decision === "open" ? { ...event, decision: "rejected" } : event)));
}

// A review that the server refuses stays on the page, to be corrected.
async function save(events) {
  await send(() => sendJson(reviewPath(), "PUT", { events }));
}

async function undo() {
  await send(() => requestJson(reviewPath(), { method: "DELETE" }));
}

async function send(request) {
  const { id } = state.analysis;
  const { notice, onChange } = state.actions;
  try {
    const saved = await request();
    notice.show("");
    const summary = await requestJson("v1/reviews");
    if (state.analysis?.id !== id) return;
    state.analysis = saved;
    state.events = readEvents(saved);
    showSummary(summary);
    showEvents();
    announce($("review-state").textContent);
    onChange();
  } catch (error) {
    notice.show(error.message);
  }
}

function reviewPath() {
  return `v1/analyses/${state.analysis.id}/review`;
}

$("add-event").addEventListener("click", addEvent);
$("no-event").addEventListener("click", rejectOpen);
$("undo-review").addEventListener("click", undo);
$("next-video").addEventListener("click", () => { location.hash = `videos/${state.summary.next}`; });
