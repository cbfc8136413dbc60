// New alerts of any stream: announce them, and count those that nobody has seen yet.
import { $, setText } from "../shared/dom.js";
import { formatClass, formatScore } from "../shared/format.js";

const known = new Set();
const unseen = new Map(); // key of the alert → id of its stream
let isFirstList = true;

/**
 * Announce the alerts that are new since the last call; those of the first call are not new.
 * @param {object[]} streams - StreamStatus objects of the HTTP API
 */
export function announceNewAlerts(streams) {
  const messages = [];
  for (const { id, name, alerts } of streams) {
    for (const alert of alerts) {
      const key = `${id}/${alert.number}`;
      if (!isFirstList && !known.has(key)) {
        unseen.set(key, id);
        messages.push(
          `Alert ${alert.number} of ${name}: ${formatClass(alert.label)}, score ${formatScore(alert.peak)}.`);
      }
      known.add(key);
    }
  }
  isFirstList = false;
  if (messages.length) setText($("alert-announcement"), messages.reverse().join(" "));
  const ids = new Set(streams.map((stream) => stream.id));
  deleteUnseen((id) => !ids.has(id));
}

/**
 * Mark the alerts of a stream as seen.
 * @param {string|null} id
 */
export function markSeen(id) {
  if (id !== null) deleteUnseen((streamId) => streamId === id);
}

function deleteUnseen(matches) {
  for (const [key, id] of unseen) if (matches(id)) unseen.delete(key);
  const { size } = unseen;
  document.title = size ? `(${size}) new alert${size === 1 ? "" : "s"} · exvad` : "exvad";
  $("unseen-alerts").hidden = size === 0;
  setText($("unseen-alerts"), size ? `${size} new` : "");
}
