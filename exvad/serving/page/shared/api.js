// Requests to the HTTP API: JSON, uploads, and errors in the server's words.

/** The server cannot be reached, or it refused a request. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} [status] - HTTP status, if the server responded
   */
  constructor(message, status) {
    super(message);
    this.status = status;
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
    throw new ApiError("Cannot reach the server");
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) dispatchEvent(new Event("sign-in-required"));
  if (!response.ok) throw new ApiError(errorMessage(body, response.status), response.status);
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
 * @returns {Promise<object>} the new analysis
 * @throws {ApiError}
 */
export function uploadVideo(file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("video", file);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / total));
    request.addEventListener("error", () => {
      reject(new ApiError("the connection was lost during the upload; try again"));
    });
    request.addEventListener("load", () => {
      const { status, response } = request;
      if (status < 300) resolve(response);
      else reject(new ApiError(errorMessage(response, status), status));
    });
    request.open("POST", "v1/analyses");
    onProgress(0);
    request.send(form);
  });
}

function errorMessage(body, status) {
  return body?.detail || `the server responded with status ${status}`;
}
