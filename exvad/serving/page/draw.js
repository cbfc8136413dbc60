// Timelines: a score over time, what was found in it, and the line above which it counts.
import { clock, spaced } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 150;
const FOOT = 8; // a band in the full colour of each span's class
const COLOURS = 12;

export function kindOf(classes, label) {
  return `kind${Math.max(0, classes.indexOf(label) - 1) % COLOURS}`;
}

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// chart: { from, to, times, scores, step, threshold, spans: [{ start, end, kind }], every }
// step: how long the last score lasts, and what separates a gap from the next score.
export function draw(svg, chart) {
  const { from, to } = chart;
  const x = (time) => (WIDTH * (Math.min(Math.max(time, from), to) - from)) / Math.max(to - from, 1e-3);
  const y = (score) => HEIGHT - FOOT - 2 - (HEIGHT - FOOT - 12) * score;
  const lines = [];
  for (let at = Math.ceil(from / chart.every) * chart.every; at < to; at += chart.every) {
    if (at > from) lines.push(shape("line", { x1: x(at), x2: x(at), y1: 0, y2: HEIGHT, class: "grid" }));
  }
  const spans = chart.spans.filter((each) => each.end >= from && each.start <= to).flatMap((each) => {
    const place = { x: x(each.start), width: Math.max(4, x(each.end) - x(each.start)) };
    return [
      shape("rect", { ...place, y: 0, height: HEIGHT, class: `span ${each.kind}` }),
      shape("rect", { ...place, y: HEIGHT - FOOT, height: FOOT, class: each.kind }),
    ];
  });
  const curves = pieces(chart).flatMap((piece) => {
    const line = piece.map(([time, score]) => `${x(time).toFixed(1)},${y(score).toFixed(1)}`).join("L");
    const [first, last] = [x(piece[0][0]), x(piece.at(-1)[0])];
    const area = `M${first},${y(0)}L${line}L${last},${y(0)}Z`;
    return [shape("path", { d: area, class: "area" }), shape("path", { d: `M${line}`, class: "score" })];
  });
  if (chart.threshold !== null && chart.threshold !== undefined) {
    const limit = y(chart.threshold);
    lines.push(shape("line", { x1: 0, x2: WIDTH, y1: limit, y2: limit, class: "limit" }));
  }
  const now = shape("line", { x1: -9, x2: -9, y1: 0, y2: HEIGHT, class: "now" });
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren(...spans, ...curves, ...lines, now);
  svg.chart = chart;
}

// The stretches without a gap, each as corners of a staircase.
function pieces({ from, times, scores, step }) {
  const found = [];
  times.forEach((time, n) => {
    const next = times[n + 1] ?? Infinity;
    const until = next - time > 3 * step ? time + step : next;
    if (until < from) return;
    const joined = found.length > 0 && found.at(-1).at(-1)[0] === time;
    if (!joined) found.push([]);
    found.at(-1).push([time, scores[n]], [until, scores[n]]);
  });
  return found;
}

export function mark(svg, time) {
  if (!svg.chart) return;
  const { from, to } = svg.chart;
  const at = (WIDTH * (time - from)) / Math.max(to - from, 1e-3);
  const now = svg.querySelector(".now");
  now.setAttribute("x1", at);
  now.setAttribute("x2", at);
}

export function timeAt(svg, event) {
  const box = svg.getBoundingClientRect();
  const { from, to } = svg.chart;
  return from + ((event.clientX - box.left) / box.width) * (to - from);
}

// What the pointer is over, in words; `said` makes them of a time and its score.
export function readable(svg, output, said) {
  svg.addEventListener("pointermove", (event) => {
    if (!svg.chart) return;
    const time = timeAt(svg, event);
    const place = svg.chart.times.findLastIndex((each) => each <= time);
    const late = place < 0 || time > svg.chart.times[place] + 3 * svg.chart.step;
    output.textContent = late ? "" : said(time, svg.chart.scores[place]);
  });
  svg.addEventListener("pointerleave", () => { output.textContent = ""; });
}

export function describe(svg, what, spans) {
  const spoken = spans.map((each) => `${spaced(each.label)} from ${clock(each.start)} to ${clock(each.end)}`);
  const text = `${what} ${spoken.join("; ") || "No events."}`;
  if (svg.getAttribute("aria-label") !== text) svg.setAttribute("aria-label", text);
}
