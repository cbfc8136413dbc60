// Times that a person reads and writes, to a hundredth of a second.

/**
 * Format a time, such as 1:05.20.
 * @param {number} seconds
 * @returns {string}
 */
export function formatTime(seconds) {
  const hundredths = Math.round(seconds * 100);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  return `${Math.floor(hundredths / 6000)}:${rest}`;
}

/**
 * Read a time: 1:02:03, 1:05.2, or seconds.
 * @param {string} text
 * @returns {number|null} seconds; null if the text is no time
 */
export function parseTime(text) {
  if (!/^\s*(\d+:){0,2}\d+(\.\d*)?\s*$/.test(text)) return null;
  return text.split(":").reduce((total, part) => total * 60 + Number(part), 0);
}
