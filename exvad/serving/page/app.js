// The page: which part is shown, keys, and dropped files. The address says what is open.
import * as analyses from "./analyses.js";
import * as answer from "./answer.js";
import * as live from "./live.js";
import { $ } from "./dom.js";
import { asksForKey } from "./session.js";

const PARTS = { videos: analyses, live };

function route() {
  const [named, id = null] = location.hash.slice(1).split("/");
  // Links of earlier days had the id alone.
  const [part, wanted] = /^[0-9a-f]{32}$/.test(named) ? ["videos", named] : [named, id];
  const shown = part in PARTS ? part : "videos";
  for (const name of Object.keys(PARTS)) {
    const section = $(`part-${name}`);
    section.hidden = name !== shown;
    section.classList.toggle("opened", name === shown && wanted !== null);
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    PARTS[name].open(name === shown ? wanted : null);
  }
  document.querySelector("footer").hidden = shown !== "videos";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !answer.isShown()) return;
  const typing = event.target.closest("textarea, select, input:not([type=file])");
  if (typing) return;
  if (event.key === "j") answer.step(1);
  else if (event.key === "k") answer.step(-1);
  // What has focus has a use of its own for the space bar.
  else if (event.key === " " && !event.target.closest("button, summary, video, input")) answer.play();
  else return;
  event.preventDefault();
});

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if ($("part-videos").hidden) location.hash = "videos";
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") analyses.submit([...event.dataTransfer.files]);
  });
}

addEventListener("locked", asksForKey);
addEventListener("hashchange", route);
route();
