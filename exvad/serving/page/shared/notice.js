// The message line at the top of a view.
import { setText } from "./dom.js";

/** A message line. An error of polling disappears with the next success; other texts stay. */
export class Notice {
  #element;
  #pollingError = "";

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
  }

  /**
   * Show a text until the next one.
   * @param {string} text - empty to show nothing
   */
  show(text) {
    setText(this.#element, text);
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
    if (this.#element.textContent === this.#pollingError) this.show("");
  }
}
