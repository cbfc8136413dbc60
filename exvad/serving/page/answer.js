// One finished analysis: the video, its timeline and events, the explanation, the judgement.
import { $, button, clock, doubt, judged, make, spaced, tell, triageButtons, write } from "./dom.js";
import { describe, draw, kindOf, mark, readable, timeAt } from "./draw.js";

const state = { found: null, acts: null, at: 0 };
const player = $("player");

export const isShown = () => state.found !== null;

export function clear() {
  state.found = null;
  $("answer").hidden = true;
  $("evidence").replaceChildren();
  $("still").removeAttribute("src");
  if (player.hasAttribute("src")) {
    player.removeAttribute("src");
    player.load();
  }
}

export function show(found, acts) {
  Object.assign(state, { found, acts, at: 0 });
  const { result } = found;
  $("answer").hidden = false;
  const calm = result.events.length === 0;
  const kinds = [...new Set(result.events.map((event) => spaced(event.label)))].join(", ");
  const verdict = calm ? "Nothing abnormal found" : `Abnormal: ${kinds}`;
  write($("verdict"), verdict, `verdict ${calm ? "calm" : "alarm"}`);
  player.hidden = false;
  $("still").hidden = $("unplayable").hidden = true;
  player.src = `v1/analyses/${found.id}/video`;
  write($("end"), clock(result.duration));
  timeline(result);
  $("events").replaceChildren(...result.events.map((event) => eventRow(result, event)));
  $("calm").hidden = !calm;
  explain(found);
  judged($("triage"), found.triage);
  $("report").href = `v1/analyses/${found.id}/report`;
  const untrained = result.untrained.map((label) => `${spaced(label)}: training never saw this class`);
  $("problems").replaceChildren(...[...result.problems, ...untrained].map((text) => make("li", text)));
  write($("model"), `Model ${result.model}`);
}

function timeline(result) {
  draw($("timeline"), {
    from: 0, to: result.duration, times: result.times, scores: result.scores,
    step: (result.times[1] ?? result.duration) - result.times[0], threshold: result.threshold,
    every: result.duration > 600 ? 300 : result.duration > 90 ? 60 : 10,
    spans: result.events.map((event) => ({ ...event, kind: kindOf(result.classes, event.label) })),
  });
  describe($("timeline"), "Anomaly score over time.", result.events);
}

function eventRow(result, event) {
  const row = make("li");
  const choice = button();
  const label = make("span");
  label.append(make("span", "", `dot ${kindOf(result.classes, event.label)}`), spaced(event.label));
  const sure = make("small", `${Math.round(event.confidence * 100)} % sure`);
  sure.title = "how often a validation video of this score was abnormal";
  choice.append(label, make("span", `${clock(event.start)} – ${clock(event.end)}`, "tag"), sure);
  choice.addEventListener("click", () => jump(event.start));
  row.append(choice);
  return row;
}

function explain({ id, result }) {
  const why = result.explanation;
  const without = result.captions.length ? "No explanation was written." : "This answer has no explanation.";
  write($("summary"), why ? why.summary : without);
  write($("reason"), why ? why.reason : "");
  write($("doubt"), doubt(result.events.map((event) => event.label), why));
  const numbers = (why ? why.evidence : []).filter((number) => result.captions[number - 1]).slice(0, 4);
  $("rests").hidden = numbers.length === 0;
  $("evidence").replaceChildren(...numbers.map((number) => {
    const caption = result.captions[number - 1];
    const choice = button();
    const picture = make("img");
    picture.src = `v1/analyses/${id}/frames/${number}`;
    picture.alt = "";
    picture.loading = "lazy";
    picture.addEventListener("error", () => picture.classList.add("missing"));
    choice.append(picture, make("small", clock(caption.time)), make("span", caption.text));
    choice.addEventListener("click", () => jump(caption.time));
    const row = make("li");
    row.append(choice);
    return row;
  }));
  $("all").hidden = result.captions.length === 0;
  $("all").open = false;
  write($("all").querySelector("summary"), `All ${result.captions.length} captions`);
  $("captions").replaceChildren(...result.captions.map((caption) => {
    const choice = button();
    choice.append(make("small", clock(caption.time)), make("span", caption.text));
    choice.addEventListener("click", () => jump(caption.time));
    const row = make("li");
    row.append(choice);
    return row;
  }));
}

function still(time) {
  const { id, result } = state.found;
  const place = Math.max(0, result.captions.findLastIndex((caption) => caption.time <= time + 0.01));
  $("still").hidden = result.captions.length === 0;
  if (result.captions.length) $("still").src = `v1/analyses/${id}/frames/${place + 1}`;
}

function jump(time) {
  state.at = time;
  player.currentTime = time;
  mark($("timeline"), time);
  if (player.hidden) still(time);
  (player.hidden ? $("still") : player).scrollIntoView({ block: "nearest" });
}

// To the next event (1) or the previous one (-1), around the end.
export function step(direction) {
  const starts = state.found.result.events.map((event) => event.start);
  if (direction > 0) jump(starts.find((start) => start > state.at + 0.3) ?? starts[0] ?? state.at);
  else jump(starts.findLast((start) => start < state.at - 0.3) ?? starts.at(-1) ?? state.at);
}

export function play() {
  if (player.hidden) return;
  if (player.paused) player.play().catch(() => {});
  else player.pause();
}

player.addEventListener("timeupdate", () => {
  if (!state.found) return;
  state.at = player.currentTime;
  mark($("timeline"), state.at);
});
player.addEventListener("error", () => {
  if (!state.found || !player.hasAttribute("src")) return;
  player.hidden = true;
  $("unplayable").hidden = false;
  still(state.at);
});
$("timeline").addEventListener("click", (event) => {
  if (state.found) jump(timeAt($("timeline"), event));
});
readable($("timeline"), $("reading"), (time, score) => `${clock(time)} · score ${score.toFixed(2)}`);
triageButtons($("triage"), async (triage) => {
  if (!state.found) return;
  try {
    const kept = await tell(`v1/analyses/${state.found.id}`, "PATCH", { triage });
    judged($("triage"), kept.triage);
    state.acts.changed();
  } catch (error) {
    write($("notice"), error.message);
  }
});
$("delete").addEventListener("click", () => state.acts?.remove());
