// The view of live streams: the list, new alerts, and the stream that is open.
import { requestJson } from "../shared/api.js";
import { $, announce } from "../shared/dom.js";
import { formatDuration, formatScore, OUTSIDE } from "../shared/format.js";
import { LinkList } from "../shared/link-list.js";
import { showCameras } from "./camera-grid.js";
import { announceNewAlerts, markSeen } from "./new-alerts.js";
import { Notice } from "../shared/notice.js";
import { pauseFactor, requestNewest } from "../shared/pages.js";
import { Poller } from "../shared/poller.js";
import { initStreamForm } from "./stream-form.js";
import * as stream from "./stream.js";

const FIRST_SIZE = 20;
const ACTIVE_PAUSE_MS = 2500; // while a stream is watched
const IDLE_PAUSE_MS = 5000;
const TONES = { waiting: "", watching: "normal", lost: "alarm", ended: "" };

const notice = new Notice();
const poller = new Poller(load, show, notice);
const list = new LinkList("streams", "live", FIRST_SIZE, refresh);
let openId = null;

/**
 * Open a stream.
 * @param {string|null} id - null to close the open one
 */
export function open(id) {
  if (openId === id) return;
  openId = id;
  $("stream").hidden = true;
  stream.close();
  list.markCurrent(id);
  if (id === null) return;
  notice.show("");
  stream.open(id, { notice, refresh });
  refresh();
}

function refresh() {
  return poller.poll();
}

async function load() {
  const page = await requestNewest("v1/streams", list.limit);
  const id = openId;
  return { page, id, status: id && await loadStatus(id) };
}

async function loadStatus(id) {
  try {
    return await loadWithAlerts(`v1/streams/${encodeURIComponent(id)}`, stream.alertLimit());
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

// The server returns the newest alerts; those before them come in further requests.
async function loadWithAlerts(path, limit) {
  const status = await requestJson(path);
  const numWanted = Math.min(limit, status.num_alerts);
  while (status.alerts.length && status.alerts.length < numWanted) {
    const before = status.alerts.at(-1).number;
    const { alerts } = await requestJson(`${path}?alerts_before=${before}`);
    if (!alerts.length) break;
    status.alerts.push(...alerts);
  }
  return status;
}

function show({ page, id, status }) {
  list.show(page, openId, describe);
  announceNewAlerts(page.items);
  showCameras(page.items);
  if (id && id === openId) {
    if (status) stream.update(status);
    else closeDeleted();
  }
  const pause = page.items.some((item) => item.state !== "ended") ? ACTIVE_PAUSE_MS : IDLE_PAUSE_MS;
  return pause * pauseFactor(page.items.length);
}

function closeDeleted() {
  notice.show("This stream was stopped and deleted.");
  location.hash = "live";
}

function describe({ name, state, score, seconds, threshold, untriaged, domain }) {
  const details = [score === null ? "no score yet" : `score ${formatScore(score)}`];
  if (seconds !== null) details.push(formatDuration(seconds));
  if (untriaged) details.push(`${untriaged} to review`);
  if (domain) details.push(OUTSIDE);
  const isAlerting = state === "watching" && score > (threshold ?? 1);
  const texts = { state: stream.STATES[state], tone: TONES[state], details: details.join(" · ") };
  return { name, ...texts, isAlerting };
}

async function stopOpen() {
  const id = openId;
  const name = $("stream-name").textContent;
  const nextFocus = list.findNeighbour(id, $("stream-source"));
  if (!id || !confirm(`Stop watching ${name} and delete its alerts?`)) return;
  open(null); // requests for a deleted stream fail
  try {
    await requestJson(`v1/streams/${id}`, { method: "DELETE" });
    location.hash = "live";
    await refresh();
    announce(`Stopped watching ${name}.`);
    nextFocus.focus();
  } catch (error) {
    open(id);
    notice.show(error.message);
  }
}

initStreamForm(notice, ({ id, name }) => {
  announce(`Watching ${name}.`);
  location.hash = `live/${id}`;
});
$("stop").addEventListener("click", stopOpen);
// An operator who uses the page has seen the alerts of the open stream.
for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, () => markSeen(openId));
new Worker("shared/ticker.js").addEventListener("message", () => poller.pollIfDue());
refresh();
