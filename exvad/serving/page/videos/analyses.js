// The view of videos: the list of analyses, uploads, and the analysis that is open.
import * as analysisResult from "./analysis.js";
import { loadSummary } from "./event-review.js";
import { requestJson } from "../shared/api.js";
import { $, announce, focusHeading, setText } from "../shared/dom.js";
import { formatClass, formatPercent, OUTSIDE } from "../shared/format.js";
import { LinkList } from "../shared/link-list.js";
import { Notice } from "../shared/notice.js";
import { pauseFactor, requestNewest } from "../shared/pages.js";
import { Poller } from "../shared/poller.js";
import { followProgress } from "./progress.js";
import { readScenes } from "../shared/scenes.js";
import { uploadVideos } from "./upload.js";

const FIRST_SIZE = 30;
const ACTIVE_PAUSE_MS = 1500; // while an analysis is queued or running
const IDLE_PAUSE_MS = 5000;
const TICK_MS = 500;
const DELETE_QUESTION = "Delete this analysis and its labels? An uploaded video is deleted with it, "
  + "a file in a folder of yours is not.";

const notice = new Notice();
const refusedUploads = new Notice();
const poller = new Poller(load, showList, notice);
const list = new LinkList("analyses", "videos", FIRST_SIZE, refresh);
const state = { openId: null, shownId: null, eventSource: null, deletedId: null };

/**
 * Upload videos and open the analysis of the first one.
 * @param {File[]} files
 */
export async function upload(files) {
  let isFirst = true;
  const onAccepted = async ({ id }) => {
    await refresh();
    if (isFirst) location.hash = `videos/${id}`;
    isFirst = false;
  };
  const onRefused = (message) => {
    refusedUploads.show(refusedUploads.text ? `${refusedUploads.text}\n${message}` : message);
  };
  try {
    const scenes = readScenes(new FormData($("scenes-form")));
    await uploadVideos(files, scenes, onAccepted, onRefused);
  } catch (error) {
    refusedUploads.show(error.message);
  }
}

/**
 * Open an analysis.
 * @param {string|null} id - null to close the open one
 * @param {boolean} [reload] - load it again even if it is open
 */
export async function open(id, reload = false) {
  if (state.openId === id && !reload) return;
  state.eventSource?.close();
  state.eventSource = null;
  state.openId = id;
  analysisResult.clear();
  list.markCurrent(id);
  $("running").hidden = $("failed").hidden = true;
  if (!reload) $("analysis").hidden = true;
  $("labelling").hidden = true;
  if (id === null) {
    refresh();
    return;
  }
  try {
    const analysis = await requestJson(`v1/analyses/${encodeURIComponent(id)}`);
    if (state.openId === id) show(analysis, !reload);
  } catch (error) {
    if (state.openId !== id) return;
    notice.show(error.message);
    location.hash = "videos";
  }
}

function refresh() {
  return poller.poll();
}

// Other tabs and persons review and delete analyses, too.
async function load() {
  const page = await requestNewest("v1/analyses", list.limit);
  const isShown = state.openId === state.shownId && state.openId !== state.deletedId;
  const id = isShown ? state.openId : null; // requests for what was deleted here fail
  const listed = page.items.find((item) => item.id === id);
  const labels = state.openId === null ? await loadSummary() : null;
  return { page, id, labels, status: listed ?? (id && await loadStatus(id)) };
}

async function loadStatus(id) {
  try {
    return await requestJson(`v1/analyses/${encodeURIComponent(id)}?result=false`);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

function showList({ page, id, labels, status }) {
  list.show(page, state.openId, describe);
  showLabelling(labels);
  if (id && id === state.openId && id !== state.deletedId) {
    if (status) analysisResult.update(status);
    else closeDeleted();
  }
  const pause = page.items.some(isActive) ? ACTIVE_PAUSE_MS : IDLE_PAUSE_MS;
  return pause * pauseFactor(page.items.length);
}

// What a labelling session begins with; the review of an open video has the same.
function showLabelling(labels) {
  $("labelling").hidden = !labels || state.openId !== null;
  if (!labels) return;
  setText($("labelling-summary"), labels.text);
  $("label-next").hidden = labels.next === null;
  if (labels.next !== null) $("label-next").setAttribute("href", `#videos/${labels.next}`);
}

function closeDeleted() {
  notice.show("This analysis was deleted.");
  location.hash = "videos";
}

function isActive(analysis) {
  return analysis.state === "queued" || analysis.state === "running";
}

function describe(analysis) {
  const created = new Date(analysis.created * 1000).toLocaleString();
  const triage = analysis.triage === "open" ? "" : ` · ${analysis.triage}`;
  const domain = analysis.domain ? ` · ${OUTSIDE}` : "";
  return { name: analysis.name, ...describeState(analysis), details: created + triage + domain };
}

// Outside the domain a class or its lack means little: neither is shown as certain.
function describeState({ state: stage, progress, events, label, domain }) {
  if (stage === "queued") return { state: "queued", tone: "" };
  if (stage === "running") return { state: formatPercent(progress), tone: "" };
  if (stage === "failed") return { state: "failed", tone: "alarm" };
  const isNormal = events === 0;
  const tone = isNormal ? "normal" : "alarm";
  return { state: isNormal ? "normal" : formatClass(label), tone: domain ? "" : tone };
}

function show(analysis, isNew) {
  const reopen = () => {
    if (state.openId === analysis.id) open(analysis.id, true);
  };
  state.shownId = analysis.id;
  refresh();
  $("analysis").hidden = false;
  setText($("analysis-name"), analysis.name);
  if (isNew) focusHeading($("analysis-name"));
  setText($("verdict"), "", "verdict");
  setText($("domain"), "");
  if (analysis.state === "done") {
    analysisResult.show(analysis, { notice, onChange: refresh, onDelete: deleteOpen });
  } else if (analysis.state === "failed") {
    setText($("verdict"), `Failed: ${analysis.error}`, "verdict alarm");
    $("failed").hidden = false;
  } else {
    $("running").hidden = false;
    state.eventSource = followProgress(analysis, reopen);
  }
  if ($("verdict").textContent) announce(`${analysis.name}: ${$("verdict").textContent}`);
}

async function deleteOpen() {
  const id = state.openId;
  if (!id || !confirm(DELETE_QUESTION)) return;
  const nextFocus = list.findNeighbour(id, $("file"));
  analysisResult.clear(); // its images may still be loading
  state.deletedId = id;
  try {
    await requestJson(`v1/analyses/${id}`, { method: "DELETE" });
    location.hash = "videos";
    await refresh();
    announce("Deleted.");
    nextFocus.focus();
  } catch (error) {
    state.deletedId = null;
    notice.show(error.message);
    open(id, true);
  }
}

$("delete-failed").addEventListener("click", deleteOpen);
$("file").addEventListener("change", () => {
  upload([...$("file").files]);
  $("file").value = "";
});
setInterval(() => poller.pollIfDue(), TICK_MS);
refresh();
