// Periodic requests to the server.

const RETRY_MS = 2000;

/** Repeats a request: after a pause that depends on the response, sooner after an error. */
export class Poller {
  #load;
  #show;
  #notice;
  #lastRequest = 0;
  #nextTime = 0;

  /**
   * @template T
   * @param {() => Promise<T>} load - sends the request
   * @param {(response: T) => number} show - shows the response; returns the milliseconds until the
   *     next request
   * @param {Notice} notice - shows errors
   */
  constructor(load, show, notice) {
    this.#load = load;
    this.#show = show;
    this.#notice = notice;
  }

  /** Send a request now; the response of an earlier one that is under way is ignored. */
  async poll() {
    const request = ++this.#lastRequest;
    this.#nextTime = Infinity;
    let pause = RETRY_MS;
    try {
      const response = await this.#load();
      if (request !== this.#lastRequest) return;
      this.#notice.clearPollingError();
      pause = this.#show(response);
    } catch (error) {
      if (request !== this.#lastRequest) return;
      this.#notice.showPollingError(error);
    }
    this.#nextTime = performance.now() + pause;
  }

  /** Send a request if the pause is over. */
  pollIfDue() {
    if (performance.now() >= this.#nextTime) this.poll();
  }
}
