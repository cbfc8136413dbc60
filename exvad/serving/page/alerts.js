// The alerts of a live stream: a picture, what, when, why, and what a person makes of it.
import { $, clock, doubt, judged, make, moment, rows, spaced, tell, triageButtons, write } from "./dom.js";
import { kindOf } from "./draw.js";

const TRIES = 6;

export function updateAlerts(stream, acts) {
  $("no-alerts").hidden = stream.alerts.length > 0;
  rows($("alerts"), stream.alerts, (alert) => alert.number, () => card(stream.id, acts), (row, alert) => {
    fill(row, stream, alert);
  });
}

function card(id, acts) {
  const row = make("li", "", "alert");
  const picture = make("img");
  picture.loading = "lazy";
  picture.addEventListener("error", () => again(picture));
  picture.addEventListener("load", () => picture.classList.remove("missing"));
  const words = make("div");
  const title = make("h4");
  title.append(make("span"), make("span"));
  const why = make("p", "", "summary");
  const reason = make("p", "", "soft");
  const unsure = make("p", "", "doubt");
  const rests = make("details");
  rests.append(make("summary"), make("ul"));
  const triage = make("div", "", "triage");
  triage.setAttribute("role", "group");
  words.append(title, make("p", "", "when soft"), why, reason, unsure, rests, triage);
  row.append(picture, words);
  triageButtons(triage, async (choice) => {
    try {
      const kept = await tell(`v1/streams/${id}/alerts/${row.dataset.key}`, "PATCH", { triage: choice });
      judged(triage, kept.triage);
      acts.refresh();
    } catch (error) {
      acts.notice(error.message);
    }
  });
  return row;
}

// An alert is told before its picture is kept.
function again(picture) {
  picture.classList.add("missing");
  const tries = Number(picture.dataset.tries ?? 0) + 1;
  picture.dataset.tries = tries;
  if (tries > TRIES) return;
  const { wanted } = picture.dataset;
  setTimeout(() => {
    if (picture.dataset.wanted === wanted) picture.src = `${wanted}&try=${tries}`;
  }, 500 * tries);
}

function show(picture, wanted) {
  if (picture.dataset.wanted === wanted) return;
  picture.dataset.wanted = wanted;
  picture.dataset.tries = 0;
  picture.src = wanted;
}

function fill(row, stream, alert) {
  const [picture, words] = row.children;
  const [title, when, why, reason, unsure, rests, triage] = words.children;
  const label = spaced(alert.label);
  show(picture, `v1/streams/${stream.id}/alerts/${alert.number}/frame?peak=${alert.peak}`);
  picture.alt = `Picture of the ${label} at its highest score`;
  write(title.children[0], "", `dot ${kindOf(stream.classes, alert.label)}`);
  write(title.children[1], label);
  const lasted = `${clock(alert.end - alert.start)} long`;
  const going = stream.state === "ended" || alert.state === "ended" ? "over" : "going on";
  when.title = `${clock(alert.start)} to ${clock(alert.end)} of the stream`;
  write(when, `${moment(alert.began_at)} · ${lasted} · peak ${alert.peak.toFixed(2)} · ${going}`);
  const told = alert.explanation;
  write(why, told ? told.summary : "");
  write(reason, told ? told.reason : "");
  write(unsure, doubt([alert.label], told));
  const numbered = told ? new Set(told.evidence) : new Set();
  rests.hidden = alert.captions.length === 0;
  const many = alert.captions.length === 1 ? "The caption" : `The ${alert.captions.length} captions`;
  write(rests.children[0], `${many} it rests on`);
  rows(rests.children[1], alert.captions.map((text, n) => [n + 1, text]), ([n]) => n, () => make("li"),
    (item, [n, text]) => write(item, text, numbered.has(n) ? "evidence" : ""));
  triage.setAttribute("aria-label", `Your judgement of alert ${alert.number}, ${label}`);
  judged(triage, alert.triage);
  row.classList.toggle("judged", alert.triage !== "open");
  row.classList.toggle("going", going === "going on");
}
