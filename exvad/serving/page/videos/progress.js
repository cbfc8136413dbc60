// Progress of an analysis that is queued or running: stage, first scores, explanation so far.
import { drawChart } from "../shared/chart.js";
import { $, setText } from "../shared/dom.js";
import { formatPercent } from "../shared/format.js";

const RECONNECT_MS = 2000;

/**
 * Show the progress of an analysis until it ends.
 * @param {object} analysis - an AnalysisStatus of the HTTP API
 * @param {() => void} onEnd - called when the analysis has ended, or when the events cannot be
 *     followed any further
 * @returns {EventSource} closing it stops following
 */
export function followProgress(analysis, onEnd) {
  const firstScores = new Map(); // seconds → score
  $("first-scores").hidden = true;
  setText($("explanation-draft"), "");
  showProgress(analysis.progress);
  const source = new EventSource(`v1/analyses/${analysis.id}/events`);
  const handle = (kind, handler) => {
    source.addEventListener(kind, (event) => handler(JSON.parse(event.data)));
  };
  const end = () => {
    source.close();
    onEnd();
  };
  handle("progress", ({ progress }) => showProgress(progress));
  handle("first_scores", ({ times, scores }) => {
    times.forEach((time, index) => firstScores.set(time, scores[index]));
    showFirstScores(firstScores);
  });
  handle("writing", ({ text }) => setText($("explanation-draft"), `${text} …`));
  handle("done", end);
  handle("failed", end);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(onEnd, RECONNECT_MS);
  });
  return source;
}

function showProgress(share) {
  $("progress").value = share;
  setText($("progress-stage"), describeStage(share));
}

function describeStage(share) {
  if (share === 0) return "Waiting in the queue";
  return share < 1 ? `Analyzing: ${formatPercent(share)}` : "Writing the explanation";
}

// The parts of a long video arrive one by one, in any order.
function showFirstScores(firstScores) {
  const times = [...firstScores.keys()].sort((a, b) => a - b);
  const scores = times.map((time) => firstScores.get(time));
  const step = times.length > 1 ? times[1] - times[0] : 1;
  const to = times.at(-1) + step;
  $("first-scores").hidden = times.length === 0;
  drawChart($("first-scores-chart"), { from: 0, to, times, scores, step, spans: [] });
}
