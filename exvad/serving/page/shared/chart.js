// Charts of the anomaly score over time, with detected spans and the threshold.
import { formatClass, formatDuration } from "./format.js";

/**
 * @typedef {object} Chart
 * @property {number} from - seconds at the left edge
 * @property {number} to - seconds at the right edge
 * @property {number[]} times - [T] seconds at which each score begins
 * @property {number[]} scores - [T] 0 to 1
 * @property {number} step - seconds that the last score covers; there is a gap in the curve where
 *     the next score begins more than three steps later
 * @property {number|null} [threshold]
 * @property {{start: number, end: number, label: string, colour: string}[]} spans
 * @property {number} [gridStep] - seconds between vertical lines; none without it
 */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 150;
const BAND_HEIGHT = 8; // the band at the bottom shows each span in the full colour of its class
const SPAN_MIN_WIDTH = 4;
const NUM_COLOURS = 12;

/** @type {WeakMap<SVGElement, Chart>} */
const charts = new WeakMap();

/**
 * Return the CSS class with the colour of an abnormal class.
 * @param {string[]} classes - the normal class first
 * @param {string} label
 * @returns {string}
 */
export function classColour(classes, label) {
  return `colour-${Math.max(0, classes.indexOf(label) - 1) % NUM_COLOURS}`;
}

/**
 * Draw a chart.
 * @param {SVGSVGElement} svg
 * @param {Chart} chart
 */
export function drawChart(svg, chart) {
  charts.set(svg, chart);
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  const cursor = makeLine("cursor", -9, 0, -9, HEIGHT);
  svg.replaceChildren(
    ...drawSpans(chart), ...drawCurves(chart), ...drawGrid(chart), ...drawThreshold(chart), cursor);
}

/**
 * Describe a chart for screen readers.
 * @param {SVGSVGElement} svg
 * @param {string} title
 * @param {{start: number, end: number, label: string}[]} spans
 */
export function describeChart(svg, title, spans) {
  const texts = spans.map(({ start, end, label }) => (
    `${formatClass(label)} from ${formatDuration(start)} to ${formatDuration(end)}`));
  const description = `${title} ${texts.join("; ") || "No events."}`;
  if (svg.getAttribute("aria-label") !== description) svg.setAttribute("aria-label", description);
}

/**
 * Move the cursor of a chart.
 * @param {SVGSVGElement} svg
 * @param {number} time - seconds
 */
export function moveCursor(svg, time) {
  const chart = charts.get(svg);
  if (!chart) return;
  const cursor = svg.querySelector(".cursor");
  const x = (WIDTH * (time - chart.from)) / duration(chart);
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
}

/**
 * Return the time at the pointer.
 * @param {SVGSVGElement} svg - with a chart
 * @param {MouseEvent} event
 * @returns {number} seconds
 */
export function timeAtPointer(svg, event) {
  const box = svg.getBoundingClientRect();
  const { from, to } = charts.get(svg);
  return from + ((event.clientX - box.left) / box.width) * (to - from);
}

/**
 * Show the score under the pointer as text.
 * @param {SVGSVGElement} svg
 * @param {HTMLElement} output
 * @param {(time: number, score: number, chart: Chart) => string} formatReadout
 */
export function showReadout(svg, output, formatReadout) {
  svg.addEventListener("pointermove", (event) => {
    const chart = charts.get(svg);
    if (!chart) return;
    const time = timeAtPointer(svg, event);
    const index = chart.times.findLastIndex((start) => start <= time);
    const isGap = index < 0 || time > chart.times[index] + 3 * chart.step;
    output.textContent = isGap ? "" : formatReadout(time, chart.scores[index], chart);
  });
  svg.addEventListener("pointerleave", () => { output.textContent = ""; });
}

function duration({ from, to }) {
  return Math.max(to - from, 1e-3);
}

function toX(chart, time) {
  return (WIDTH * (Math.min(Math.max(time, chart.from), chart.to) - chart.from)) / duration(chart);
}

function toY(score) {
  return HEIGHT - BAND_HEIGHT - 2 - (HEIGHT - BAND_HEIGHT - 12) * score;
}

function makeShape(tag, attributes) {
  const element = document.createElementNS(SVG_NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function makeLine(className, x1, y1, x2, y2) {
  return makeShape("line", { class: className, x1, y1, x2, y2 });
}

function drawSpans(chart) {
  const visible = chart.spans.filter((span) => span.end >= chart.from && span.start <= chart.to);
  return visible.flatMap(({ start, end, colour }) => {
    const x = toX(chart, start);
    const width = Math.max(SPAN_MIN_WIDTH, toX(chart, end) - x);
    const bandTop = HEIGHT - BAND_HEIGHT;
    return [
      makeShape("rect", { class: `span ${colour}`, x, y: 0, width, height: HEIGHT }),
      makeShape("rect", { class: colour, x, y: bandTop, width, height: BAND_HEIGHT }),
    ];
  });
}

function drawCurves(chart) {
  return splitAtGaps(chart).flatMap((points) => {
    const corners = points.map(([time, score]) => (
      `${toX(chart, time).toFixed(1)},${toY(score).toFixed(1)}`));
    const line = corners.join("L");
    const [first, last] = [toX(chart, points[0][0]), toX(chart, points.at(-1)[0])];
    const area = `M${first},${toY(0)}L${line}L${last},${toY(0)}Z`;
    return [
      makeShape("path", { class: "area", d: area }),
      makeShape("path", { class: "score", d: `M${line}` }),
    ];
  });
}

// Return the stretches without a gap, each as the corners [time, score] of a staircase.
function splitAtGaps({ from, times, scores, step }) {
  const stretches = [];
  times.forEach((time, index) => {
    const next = times[index + 1] ?? Infinity;
    const end = next - time > 3 * step ? time + step : next;
    if (end < from) return;
    const continues = stretches.length > 0 && stretches.at(-1).at(-1)[0] === time;
    if (!continues) stretches.push([]);
    stretches.at(-1).push([time, scores[index]], [end, scores[index]]);
  });
  return stretches;
}

function drawGrid(chart) {
  const { from, to, gridStep } = chart;
  if (!gridStep) return [];
  const lines = [];
  for (let time = Math.ceil(from / gridStep) * gridStep; time < to; time += gridStep) {
    if (time > from) lines.push(makeLine("grid", toX(chart, time), 0, toX(chart, time), HEIGHT));
  }
  return lines;
}

function drawThreshold({ threshold }) {
  if (threshold === null || threshold === undefined) return [];
  return [makeLine("threshold", 0, toY(threshold), WIDTH, toY(threshold))];
}
