// The clips of alerts: parts of the recordings of streams.
import { setText } from "../shared/dom.js";
import { formatClass } from "../shared/format.js";

/**
 * Return the address of an alert's clip.
 * @param {object} stream - a StreamStatus of the HTTP API
 * @param {object} alert - an AlertStatus
 * @returns {string|null} null if its recording is not kept
 */
export function clipAddress(stream, alert) {
  const age = Date.now() / 1000 - alert.began_at - (alert.end - alert.start);
  if (age > stream.keep_hours * 3600) return null;
  return `v1/streams/${encodeURIComponent(stream.id)}/alerts/${alert.number}/clip`;
}

/**
 * Let a link lead to the clip of an alert; hide it if there is none.
 * @param {HTMLAnchorElement} link
 * @param {object} stream - a StreamStatus of the HTTP API
 * @param {object} alert - an AlertStatus
 */
export function showClipLink(link, stream, alert) {
  const address = clipAddress(stream, alert);
  link.hidden = address === null;
  if (address === null) return;
  if (link.getAttribute("href") !== address) link.href = address;
  link.target = "_blank";
  setText(link, "Clip");
  link.setAttribute("aria-label", `Clip of alert ${alert.number}, ${formatClass(alert.label)}`);
}
