// The lists of the sidebars: links to analyses or streams, newest first.
import { $, makeElement, makeLongName, setLongName, setText } from "./dom.js";
import { updateList } from "./list.js";

/**
 * @typedef {object} LinkTexts
 * @property {string} name
 * @property {string} state
 * @property {string} tone - CSS class of the state
 * @property {string} details
 * @property {boolean} [isAlerting]
 */

/** A list of links, with a text for an empty list and a button that shows more items. */
export class LinkList {
  #list;
  #emptyText;
  #moreButton;
  #view;

  /**
   * @param {string} name - id of the list; the text and the button have the ids no-NAME, more-NAME
   * @param {string} view - the links lead to #VIEW/ID
   * @param {number} firstSize - number of items at first; the button doubles it
   * @param {() => void} onMore - called when the button has raised `limit`
   */
  constructor(name, view, firstSize, onMore) {
    this.#list = $(name);
    this.#emptyText = $(`no-${name}`);
    this.#moreButton = $(`more-${name}`);
    this.#view = view;
    /** Number of items to request. */
    this.limit = firstSize;
    this.#moreButton.addEventListener("click", () => {
      this.limit *= 2;
      onMore();
    });
  }

  /**
   * Show items.
   * @template {{id: string}} T
   * @param {{items: T[], total: number}} page - as the HTTP API returns it
   * @param {string|null} openId - of the open item
   * @param {(item: T) => LinkTexts} describe
   */
  show({ items, total }, openId, describe) {
    this.#emptyText.hidden = items.length > 0;
    this.#moreButton.hidden = total <= items.length;
    const makeRow = (item) => makeLinkRow(`#${this.#view}/${item.id}`);
    const updateRow = (row, item) => updateLinkRow(row, describe(item));
    updateList(this.#list, items, (item) => item.id, makeRow, updateRow);
    this.markCurrent(openId);
  }

  /**
   * Mark the link to the open item as the current one.
   * @param {string|null} openId - null if no item is open
   */
  markCurrent(openId) {
    for (const row of this.#list.children) {
      const link = row.firstElementChild;
      if (row.dataset.key === openId) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  /**
   * Return what receives the focus when an item is deleted: the next link, or the one before it.
   * @param {string} id - of the item to delete
   * @param {HTMLElement} fallback - for the only item
   * @returns {HTMLElement}
   */
  findNeighbour(id, fallback) {
    const row = [...this.#list.children].find((candidate) => candidate.dataset.key === id);
    const neighbour = row?.nextElementSibling ?? row?.previousElementSibling;
    return neighbour?.firstElementChild ?? fallback;
  }
}

function makeLinkRow(href) {
  const link = makeElement("a");
  link.href = href;
  link.append(makeLongName(), makeElement("span"), makeElement("small"));
  const row = makeElement("li");
  row.append(link);
  return row;
}

function updateLinkRow(row, { name, state, tone, details, isAlerting = false }) {
  const [nameElement, stateElement, detailsElement] = row.firstElementChild.children;
  setLongName(nameElement, name);
  setText(stateElement, state, `tag ${tone}`);
  setText(detailsElement, details);
  row.classList.toggle("alerting", isAlerting);
}
