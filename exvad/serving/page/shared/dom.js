// Helpers to make and update elements.

/**
 * Return the element with an id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export const $ = (id) => document.getElementById(id);

/**
 * Make an element.
 * @param {string} tag
 * @param {string} [text]
 * @param {string} [className]
 * @returns {HTMLElement}
 */
export function makeElement(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/**
 * Make a button.
 * @param {string} [text]
 * @returns {HTMLButtonElement}
 */
export function makeButton(text = "") {
  const button = makeElement("button", text);
  button.type = "button";
  return button;
}

/**
 * Set the text of an element, and its class if one is given.
 *
 * An equal text is not set again, because a screen reader would read it again.
 * @param {HTMLElement} element
 * @param {string} text
 * @param {string} [className]
 */
export function setText(element, text, className) {
  if (element.textContent !== text) element.textContent = text;
  if (className !== undefined && element.className !== className) element.className = className;
}

/**
 * Make an element for a name that may be longer than its place; it shows the end of the name.
 * @returns {HTMLElement}
 */
export function makeLongName() {
  const element = makeElement("b", "", "long-name");
  const name = makeElement("bdi");
  name.dir = "ltr";
  element.append(name);
  return element;
}

/**
 * Show a name.
 * @param {HTMLElement} element - of `makeLongName`
 * @param {string} name
 */
export function setLongName(element, name) {
  setText(element.firstElementChild, name);
  element.title = name;
}

/**
 * Announce a text to screen readers.
 * @param {string} text
 */
export const announce = (text) => setText($("announcement"), text);

/**
 * Move the focus to a heading where it replaces the sidebar, as it does on a phone.
 * @param {HTMLElement} heading
 */
export function focusHeading(heading) {
  const sidebar = heading.closest(".view").querySelector(".sidebar");
  if (getComputedStyle(sidebar).display !== "none") return;
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}
