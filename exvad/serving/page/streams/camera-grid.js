// All cameras side by side: last picture, state, score of the last minutes, last alert, problem.
import { drawChart } from "../shared/chart.js";
import { $, makeElement, makeLongName, setLongName, setText } from "../shared/dom.js";
import { formatClass, formatNotice, formatScore, formatTimestamp, OUTSIDE } from "../shared/format.js";
import { updateList } from "../shared/list.js";
import { loadFrame, makeFrameImage } from "./alerts.js";
import { STATES } from "./stream.js";

const TONES = { watching: "normal", lost: "alarm" };
const MAX_SECONDS = 300; // of the score
const MIN_SECONDS = 60;
const STEP = 10; // seconds between two requests, at most

const curves = new Map(); // id of the stream → {times, scores}, from the requests so far

/**
 * Show streams as a grid; those that are watched come first.
 * @param {object[]} streams - StreamStatus objects of the HTTP API
 */
export function showCameras(streams) {
  const ids = new Set(streams.map((stream) => stream.id));
  for (const id of curves.keys()) if (!ids.has(id)) curves.delete(id);
  const watched = streams.filter((stream) => stream.state !== "ended");
  const ordered = [...watched, ...streams.filter((stream) => stream.state === "ended")];
  $("no-cameras").hidden = streams.length > 0;
  updateList($("camera-grid"), ordered, (stream) => stream.id, makeCard, updateCard);
}

function makeCard(stream) {
  const card = makeElement("li", "", "camera");
  const link = makeElement("a");
  link.href = `#live/${stream.id}`;
  const picture = makeElement("div", "", "picture");
  picture.append(makeElement("span", "No picture yet", "muted"), makeFrameImage());
  const title = makeElement("div", "", "camera-title");
  title.append(makeLongName(), makeElement("span"));
  const chart = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  chart.setAttribute("class", "chart");
  chart.setAttribute("aria-hidden", "true");
  link.append(
    picture,
    title,
    chart,
    makeElement("span", "", "camera-score"),
    makeElement("span", "", "muted"),
    makeElement("span", "", "camera-domain"),
    makeElement("span", "", "camera-problem"),
  );
  card.append(link);
  return card;
}

function updateCard(card, stream) {
  const [picture, title, chart, score, alert, domain, problem] = card.firstElementChild.children;
  showPicture(picture, stream);
  setLongName(title.children[0], stream.name);
  setText(title.children[1], STATES[stream.state], `tag ${TONES[stream.state] ?? ""}`);
  showCurve(chart, stream);
  const isHigh = stream.state === "watching" && stream.score > (stream.threshold ?? 1);
  setText(score, describeScore(stream), isHigh ? "camera-score alarm" : "camera-score");
  setText(alert, describeAlert(stream));
  setText(domain, stream.domain ? `Its picture is ${OUTSIDE}` : "");
  domain.title = stream.domain;
  setText(problem, stream.state === "lost" ? formatNotice(stream) : "");
  card.classList.toggle("alerting", isHigh);
}

// The server stores one picture per alert: that of the highest score.
function showPicture(picture, { id, name, alerts: [alert] }) {
  const [placeholder, image] = picture.children;
  placeholder.hidden = alert !== undefined;
  image.hidden = alert === undefined;
  if (alert === undefined) return;
  loadFrame(image, `v1/streams/${id}/alerts/${alert.number}/frame?peak=${alert.peak}`);
  image.alt = `Last alert of ${name}`;
}

// The score of a source that is lost is an old one.
function describeScore({ score, scored_at: scoredAt, state }) {
  if (score === null) return "No score yet";
  if (state === "watching" || scoredAt === null) return `Score ${formatScore(score)}`;
  return `Last score ${formatScore(score)}, ${formatTimestamp(scoredAt)}`;
}

function describeAlert({ alerts: [alert], untriaged }) {
  if (alert === undefined) return "No alert so far";
  const text = `Last alert ${formatTimestamp(alert.began_at)}, ${formatClass(alert.label)}`;
  return untriaged ? `${text} · ${untriaged} to review` : text;
}

function showCurve(chart, { id, seconds, score, threshold }) {
  if (!curves.has(id)) curves.set(id, { times: [], scores: [] });
  const { times, scores } = curves.get(id);
  if (seconds !== null && !(seconds <= times.at(-1))) {
    times.push(seconds);
    scores.push(score);
  }
  const to = times.at(-1) ?? 0;
  const numOld = Math.max(0, times.findIndex((time) => time >= to - MAX_SECONDS));
  times.splice(0, numOld);
  scores.splice(0, numOld);
  const from = Math.min(times[0] ?? 0, to - MIN_SECONDS);
  drawChart(chart, { from, to: to + 1, times, scores, step: STEP, threshold, spans: [] });
}
