// Texts for values: durations, dates, shares, scores, class names.

/**
 * Format a duration or a position in a video, such as 1:05 or 2:00:30.
 * @param {number} seconds
 * @returns {string}
 */
export function formatDuration(seconds) {
  const total = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(total / 3600), Math.floor(total / 60) % 60];
  const rest = String(total % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/**
 * Format a point in time: the time of day, after the date unless that is today.
 * @param {number} seconds - since 1970
 * @returns {string}
 */
export function formatTimestamp(seconds) {
  const date = new Date(seconds * 1000);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? time : `${date.toLocaleDateString()} ${time}`;
}

/**
 * Format the newest notice of a stream, without the name of the stream that stands beside it.
 * @param {{name: string, notice: ?string}} stream
 * @returns {string}
 */
export function formatNotice({ name, notice }) {
  const text = notice ?? "";
  return text.startsWith(`${name}: `) ? text.slice(name.length + 2) : text;
}

/** What is said briefly of what lies outside the domain of its checkpoint. */
export const OUTSIDE = "outside the checkpoint’s domain";

/**
 * Format a share as a percentage.
 * @param {number} share - 0 to 1
 * @returns {string}
 */
export const formatPercent = (share) => `${Math.round(share * 100)} %`;

/**
 * Format an anomaly score.
 * @param {number} score - 0 to 1
 * @returns {string}
 */
export const formatScore = (score) => score.toFixed(2);

/**
 * Format the name of a class: `RoadAccidents` becomes "road accidents".
 * @param {string} label
 * @returns {string}
 */
export const formatClass = (label) => label.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();

/**
 * Format what a list of all captions is called. Without training, scenes of the memory stand in
 * their place.
 * @param {string[]} texts
 * @returns {string}
 */
export function formatAllCaptions(texts) {
  const noun = texts.some((text) => text.startsWith("resembles: ")) ? "scene" : "caption";
  return texts.length === 1 ? `The only ${noun}` : `All ${texts.length} ${noun}s`;
}

/**
 * Format how many there are of something.
 * @param {number} count
 * @param {string} noun - singular
 * @returns {string}
 */
export const formatCount = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
