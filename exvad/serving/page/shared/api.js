// Requests to the HTTP API: JSON, uploads, and errors in the server's words.

const RECONNECT_SECONDS = 3;

/** The server cannot be reached, or it refused a request. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} [status] - HTTP status, if the server responded
   * @param {number|null} [retryAfter] - seconds after which the same request may succeed
   */
  constructor(message, status, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/**
 * Send a request and return the JSON body of the response.
 *
 * A response with status 401 also dispatches the event `sign-in-required` on the window.
 * @param {string} path - relative to the page
 * @param {RequestInit} [options]
 * @returns {Promise<object|null>} null for a response without a body
 * @throws {ApiError}
 */
export async function requestJson(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError("Cannot reach the server", undefined, RECONNECT_SECONDS);
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw makeError(body, response.status, response.headers.get("Retry-After"));
  return body;
}

/**
 * Send a JSON body and return the JSON body of the response.
 * @param {string} path - relative to the page
 * @param {string} method
 * @param {object} body
 * @returns {Promise<object|null>}
 * @throws {ApiError}
 */
export function sendJson(path, method, body) {
  const headers = { "Content-Type": "application/json" };
  return requestJson(path, { method, headers, body: JSON.stringify(body) });
}

/**
 * Upload a video for analysis.
 *
 * This is an XMLHttpRequest because `fetch` does not report upload progress.
 * @param {File} file
 * @param {(share: number) => void} onProgress - receives the uploaded share, 0 to 1
 * @param {AbortSignal} signal - stops the upload
 * @returns {Promise<object>} the new analysis
 * @throws {ApiError}
 */
export function uploadVideo(file, onProgress, signal, { categories, normal = [] } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("video", file);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / total));
    // A request that was not sent whole stored nothing: it may be sent again.
    let isSent = false;
    request.upload.addEventListener("load", () => { isSent = true; });
    request.addEventListener("error", () => {
      const message = "the connection was lost during the upload; try again";
      reject(new ApiError(message, undefined, isSent ? null : RECONNECT_SECONDS));
    });
    request.addEventListener("abort", () => reject(new ApiError("the upload was stopped")));
    signal.addEventListener("abort", () => request.abort());
    request.addEventListener("load", () => {
      const { status, response } = request;
      if (status < 300) resolve(response);
      else reject(makeError(response, status, request.getResponseHeader("Retry-After")));
    });
    const query = new URLSearchParams(normal.map((scene) => ["normal", scene]));
    if (categories) query.set("categories", JSON.stringify(categories));
    const options = query.toString();
    request.open("POST", options ? `v1/analyses?${options}` : "v1/analyses");
    onProgress(0);
    request.send(form);
  });
}

// A server that wants an API key also causes the event `sign-in-required`.
function makeError(body, status, retryAfter) {
  if (status === 401) dispatchEvent(new Event("sign-in-required"));
  const seconds = Number.parseInt(retryAfter ?? "", 10);
  const message = body?.detail || `the server responded with status ${status}`;
  return new ApiError(message, status, Number.isNaN(seconds) ? null : seconds);
}
