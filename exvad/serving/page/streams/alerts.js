// The alerts of a live stream: frame, class, time, explanation, evidence, review.
import { sendJson } from "../shared/api.js";
import { classColour } from "../shared/chart.js";
import { $, makeElement, setText } from "../shared/dom.js";
import {
  formatAllCaptions,
  formatClass,
  formatDuration,
  formatPercent,
  formatScore,
  formatTimestamp,
} from "../shared/format.js";
import { updateList } from "../shared/list.js";
import { showClipLink } from "./clips.js";
import { describeDisagreement, makeTriageButtons, showTriage } from "../shared/review.js";

const MAX_FRAME_RETRIES = 6;
const FRAME_RETRY_MS = 500;

/**
 * Show the alerts of a stream.
 * @param {object} stream - a StreamStatus of the HTTP API
 * @param {{notice: Notice, refresh: () => void}} actions - `refresh` is called when a triage state
 *     has changed
 */
export function showAlerts(stream, actions) {
  $("no-alerts").hidden = stream.alerts.length > 0;
  const makeRow = () => makeAlertCard(stream.id, actions);
  const updateRow = (card, alert) => updateAlertCard(card, stream, alert);
  updateList($("alerts"), stream.alerts, (alert) => alert.number, makeRow, updateRow);
}

function makeAlertCard(streamId, actions) {
  const card = makeElement("li", "", "alert");
  const content = makeElement("div");
  const title = makeElement("h4");
  title.append(makeElement("span"), makeElement("span"));
  const evidence = makeElement("details");
  evidence.append(makeElement("summary"), makeElement("ul"));
  const triage = makeElement("div", "", "triage");
  triage.setAttribute("role", "group");
  content.append(
    title,
    makeElement("p", "", "when muted"),
    makeElement("p", "", "domain"),
    makeElement("p", "", "summary"),
    makeElement("p", "", "muted"),
    makeElement("p", "", "disagreement"),
    evidence,
    triage,
    makeElement("a", "", "clip"),
  );
  card.append(makeFrameImage(), content);
  makeTriageButtons(triage, async (choice) => {
    try {
      const path = `v1/streams/${streamId}/alerts/${card.dataset.key}`;
      const alert = await sendJson(path, "PATCH", { triage: choice });
      showTriage(triage, alert.triage);
      actions.refresh();
    } catch (error) {
      actions.notice.show(error.message);
    }
  });
  return card;
}

function updateAlertCard(card, stream, alert) {
  const [image, content] = card.children;
  const [title, when, domain, summary, reason, disagreement, evidence, triage] = content.children;
  const label = formatClass(alert.label);
  const isOngoing = stream.state !== "ended" && !["ended", "placed"].includes(alert.state);
  loadFrame(image, `v1/streams/${stream.id}/alerts/${alert.number}/frame?peak=${alert.peak}`);
  image.alt = `Frame of ${label} with the highest score`;
  setText(title.children[0], "", `dot ${classColour(stream.classes, alert.label)}`);
  setText(title.children[1], label);
  setText(when, describeTime(alert, isOngoing));
  when.title = `${formatDuration(alert.start)} to ${formatDuration(alert.end)} of the stream`;
  setText(domain, alert.domain);
  setText(summary, alert.explanation?.summary ?? "");
  setText(reason, alert.explanation?.reason ?? "");
  setText(disagreement, describeDisagreement([alert.label], alert.explanation));
  showEvidence(evidence, alert);
  triage.setAttribute("aria-label", `Review of alert ${alert.number}, ${label}`);
  showTriage(triage, alert.triage);
  showClipLink(content.lastElementChild, stream, alert);
  card.classList.toggle("reviewed", alert.triage !== "open");
  card.classList.toggle("ongoing", isOngoing);
}

function describeTime(alert, isOngoing) {
  const duration = formatDuration(alert.end - alert.start);
  // Alerts that an earlier version stored have no confidence.
  const confidence = alert.confidence === null ? [] : [`confidence ${formatPercent(alert.confidence)}`];
  return [
    formatTimestamp(alert.began_at),
    `duration ${duration}`,
    `peak score ${formatScore(alert.peak)}`,
    ...confidence,
    isOngoing ? "ongoing" : "ended",
  ].join(" · ");
}

function showEvidence(details, { captions, explanation }) {
  const cited = new Set(explanation?.evidence);
  const rows = captions.map((text, index) => ({ number: index + 1, text }));
  details.hidden = captions.length === 0;
  setText(details.children[0], formatAllCaptions(captions));
  updateList(details.children[1], rows, (row) => row.number, makeCaptionRow, (item, row) => {
    const isCited = cited.has(row.number);
    setText(item.children[0], row.text);
    setText(item.children[1], isCited ? " evidence" : "");
    item.className = isCited ? "evidence" : "";
  });
}

function makeCaptionRow() {
  const row = makeElement("li");
  row.append(makeElement("span"), makeElement("small"));
  return row;
}

/**
 * Make an image that tries again while the server has no frame yet.
 * @returns {HTMLImageElement}
 */
export function makeFrameImage() {
  const image = makeElement("img");
  image.loading = "lazy";
  image.addEventListener("error", () => retryFrame(image));
  image.addEventListener("load", () => image.classList.remove("missing"));
  return image;
}

/**
 * Load a frame, unless it is shown already.
 * @param {HTMLImageElement} image - of `makeFrameImage`
 * @param {string} url
 */
export function loadFrame(image, url) {
  if (image.dataset.url === url) return;
  image.dataset.url = url;
  image.dataset.retries = 0;
  image.src = url;
}

// The server publishes an alert before it stores the frame.
function retryFrame(image) {
  const { url } = image.dataset;
  const retries = Number(image.dataset.retries) + 1;
  image.classList.add("missing");
  image.dataset.retries = retries;
  if (retries > MAX_FRAME_RETRIES) return;
  setTimeout(() => {
    if (image.dataset.url === url) image.src = `${url}&try=${retries}`;
  }, FRAME_RETRY_MS * retries);
}
