// The page: the view in the address, keyboard shortcuts, and files dropped anywhere.
import * as analyses from "./videos/analyses.js";
import * as analysis from "./videos/analysis.js";
import { $ } from "./shared/dom.js";
import { openSignIn } from "./shared/signin.js";
import * as streams from "./streams/streams.js";

const VIEWS = { videos: analyses, live: streams };
const HAS_OWN_SPACE = "button, summary, video, input";

// The address ends in #VIEW or #VIEW/ID.
function showAddressedView() {
  const [name, id = null] = location.hash.slice(1).split("/");
  const isView = Object.hasOwn(VIEWS, name);
  const [current, currentId] = isView ? [name, id] : ["videos", null];
  for (const [view, module] of Object.entries(VIEWS)) {
    const isCurrent = view === current;
    const section = $(`${view}-view`);
    section.hidden = !isCurrent;
    section.classList.toggle("has-open", isCurrent && currentId !== null);
    const link = document.querySelector(`nav a[href="#${view}"]`);
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    module.open(isCurrent ? currentId : null);
  }
  document.querySelector("footer").hidden = current !== "videos";
}

function handleShortcut(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !analysis.isShown()) return;
  if (event.target.closest("textarea, select, input:not([type=file])")) return;
  if (event.key === "j") analysis.stepEvent(1);
  else if (event.key === "k") analysis.stepEvent(-1);
  else if (event.key === " " && !event.target.closest(HAS_OWN_SPACE)) analysis.togglePlay();
  else return;
  event.preventDefault();
}

function handleDrag(event) {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  if ($("videos-view").hidden) location.hash = "videos";
  $("drop-zone").classList.toggle("over", event.type === "dragover");
  if (event.type === "drop") analyses.upload([...event.dataTransfer.files]);
}

document.addEventListener("keydown", handleShortcut);
for (const kind of ["dragover", "dragleave", "drop"]) document.addEventListener(kind, handleDrag);
addEventListener("sign-in-required", openSignIn);
addEventListener("hashchange", showAddressedView);
showAddressedView();
