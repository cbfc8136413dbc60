// What both parts of the page build on: elements, words, and questions to the server.
export const $ = (id) => document.getElementById(id);

export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

export function button(text = "", className = "") {
  const element = make("button", text, className);
  element.type = "button";
  return element;
}

// A text that has not changed is left alone: screen readers would say it again.
export function write(element, text, className) {
  if (element.textContent !== text) element.textContent = text;
  if (className !== undefined && element.className !== className) element.className = className;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export const spaced = (label) => label.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();

export function moment(seconds) {
  const then = new Date(seconds * 1000);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const today = then.toDateString() === new Date().toDateString();
  return today ? time : `${then.toLocaleDateString()} ${time}`;
}

export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server can't be reached; trying again.");
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) dispatchEvent(new Event("locked"));
  if (!response.ok) {
    const error = new Error(body.detail || `the server answered ${response.status}`);
    error.status = response.status;
    throw error;
  }
  return body;
}

export function tell(path, method, body) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method, headers, body: JSON.stringify(body) });
}

// For those who hear the page.
export const announce = (text) => write($("told"), text);

// Bring a list up to date in place, so that focus and pictures stay.
export function rows(list, items, key, create, update) {
  const wanted = new Set(items.map((item) => String(key(item))));
  const known = new Map();
  for (const row of [...list.children]) {
    if (wanted.has(row.dataset.key)) known.set(row.dataset.key, row);
    else row.remove();
  }
  items.forEach((item, place) => {
    const name = String(key(item));
    const row = known.get(name) ?? create(item);
    row.dataset.key = name;
    update(row, item);
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
}

// Where focus goes when a row of a list is taken away: to the next one, or the one before.
export function neighbour(list, id, otherwise) {
  const row = [...list.children].find((each) => each.dataset.key === id);
  const near = row?.nextElementSibling ?? row?.previousElementSibling;
  return near?.querySelector("a") ?? otherwise;
}

// The list of what there is: a button each, with a name, how it stands, and small print.
export function entry(prefix, item) {
  const link = make("a");
  link.href = `${prefix}/${item.id}`;
  link.append(make("b"), make("span"), make("small"));
  const row = make("li");
  row.append(link);
  return row;
}

export function fill(row, name, [text, kind], small, current) {
  const [link] = row.children;
  const [title, tag, print] = link.children;
  write(title, name);
  write(tag, text, `tag ${kind}`);
  write(print, small);
  if (current) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

// Where the explanation and the scores do not agree, whoever judges should know.
export function doubt(labels, why) {
  if (!why || !labels.length || labels.includes(why.category)) return "";
  if (!why.anomalous) return "The explanation sees nothing abnormal here.";
  return `The explanation calls it ${spaced(why.category)}.`;
}

const JUDGEMENTS = { open: "Open", reviewed: "Reviewed", "false alarm": "False alarm" };

// Buttons that keep what a person made of it; `keep` is given the choice.
export function triageButtons(group, keep) {
  group.replaceChildren(...Object.entries(JUDGEMENTS).map(([value, text]) => {
    const choice = button(text);
    choice.dataset.triage = value;
    choice.addEventListener("click", () => keep(value));
    return choice;
  }));
}

export function judged(group, triage) {
  for (const choice of group.children) {
    choice.setAttribute("aria-pressed", String(choice.dataset.triage === triage));
  }
}

// Where the list gives way to what was opened (a phone), focus goes along.
export function focusOpened(heading) {
  const inbox = heading.closest(".part").querySelector(".inbox");
  if (getComputedStyle(inbox).display === "none") {
    heading.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}
