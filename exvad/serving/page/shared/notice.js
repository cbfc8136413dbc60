// The messages at the top of the page. They stay in sight while a person scrolls or changes the view.
import { $, setText } from "./dom.js";

/** @type {Map<Notice, string>} */
const texts = new Map(); // in the order in which they were shown

/** A message. An error of polling disappears with the next success; other texts stay. */
export class Notice {
  #pollingError = "";

  /**
   * The text that is shown.
   * @returns {string} empty if there is none, or if it was dismissed
   */
  get text() {
    return texts.get(this) ?? "";
  }

  /**
   * Show a text until the next one of this notice, or until a person dismisses it.
   * @param {string} text - empty to show nothing
   */
  show(text) {
    texts.delete(this);
    if (text) texts.set(this, text);
    showTexts();
  }

  /**
   * Show that a periodic request failed.
   * @param {Error} error
   */
  showPollingError(error) {
    this.#pollingError = `${error.message} (retrying)`;
    this.show(this.#pollingError);
  }

  /** Remove the error of an earlier periodic request. */
  clearPollingError() {
    if (this.#pollingError && this.text === this.#pollingError) this.show("");
  }
}

// Several requests fail for the same reason when the server stops: the reason is shown once.
function showTexts() {
  setText($("notice"), [...new Set(texts.values())].join("\n"));
  $("dismiss-notice").hidden = texts.size === 0;
}

$("dismiss-notice").addEventListener("click", () => {
  texts.clear();
  showTexts();
});
