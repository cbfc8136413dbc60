// The alerts of the last day of a stream, by the time of day; each leads to its clip.
import { classColour } from "../shared/chart.js";
import { $, makeElement, setText } from "../shared/dom.js";
import { formatClass, formatDuration, formatScore, formatTimestamp } from "../shared/format.js";
import { updateList } from "../shared/list.js";
import { clipAddress } from "./clips.js";

const DAY = 24 * 3600;
const SHORTEST = 600; // seconds
const STEPS = [60, 120, 300, 600, 1800, 3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600]; // seconds
const TICK_WIDTH = 80; // pixels that the text of a tick takes, with a gap
const MIN_WIDTH = 0.6; // per cent

/**
 * Show the alerts of a stream by the time of day.
 * @param {object} stream - a StreamStatus of the HTTP API
 */
export function showDay(stream) {
  const to = stream.finished ?? Date.now() / 1000;
  const from = Math.min(Math.max(stream.created, to - DAY), to - SHORTEST);
  const shown = stream.alerts.filter((alert) => alert.began_at >= from);
  const place = (time) => (100 * (time - from)) / (to - from);
  $("day-section").hidden = shown.length === 0;
  const updateMark = (row, alert) => showMark(row.firstElementChild, stream, alert, place);
  updateList($("day-alerts"), [...shown].reverse(), (alert) => alert.number, makeMark, updateMark);
  const makeTick = () => makeElement("li");
  const share = TICK_WIDTH / $("day-ticks").clientWidth;
  updateList($("day-ticks"), ticks(from, to, share), (time) => time, makeTick, (tick, time) => {
    tick.style.left = `${place(time)}%`;
    setText(tick, formatHour(time));
  });
}

function makeMark() {
  const row = makeElement("li");
  row.append(makeElement("a"));
  return row;
}

function showMark(link, stream, alert, place) {
  const duration = alert.end - alert.start;
  const clip = clipAddress(stream, alert);
  const texts = [
    `${formatTimestamp(alert.began_at)}, ${formatClass(alert.label)}`,
    formatDuration(duration),
    `peak score ${formatScore(alert.peak)}`,
    ...(clip === null ? [] : ["open its clip"]),
  ];
  const text = texts.join(", ");
  link.title = text;
  link.setAttribute("aria-label", text);
  link.className = classColour(stream.classes, alert.label);
  // The mark ends where the alert does, or at the right edge.
  const left = Math.min(place(alert.began_at), 100 - MIN_WIDTH);
  const width = Math.max(MIN_WIDTH, place(alert.began_at + duration) - left);
  link.style.left = `${left}%`;
  link.style.width = `${Math.min(width, 100 - left)}%`;
  if (clip === null) {
    link.removeAttribute("href");
    link.setAttribute("role", "img");
    return;
  }
  link.removeAttribute("role");
  if (link.getAttribute("href") !== clip) link.href = clip;
  link.target = "_blank";
}

// Return full hours, or parts of hours, in local time. The text of each takes a share of the width:
// none overlaps the next one, or is cut off at the end.
function ticks(from, to, share) {
  const shortest = share * (to - from);
  const step = STEPS.find((seconds) => seconds >= shortest) ?? STEPS.at(-1);
  const offset = new Date(from * 1000).getTimezoneOffset() * 60;
  const times = [];
  for (let time = Math.ceil((from - offset) / step) * step + offset; time <= to - shortest; time += step) {
    times.push(time);
  }
  return times;
}

function formatHour(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
