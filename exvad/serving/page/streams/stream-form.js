// The form that starts watching a stream.
import { sendJson } from "../shared/api.js";
import { $ } from "../shared/dom.js";
import { readScenes } from "../shared/scenes.js";

const form = $("stream-form");
const NUMBERS = ["on", "least_seconds", "cool_down_seconds", "keep_hours"]; // their names in the HTTP API

/**
 * Send the form when it is submitted.
 * @param {Notice} notice - shows errors
 * @param {(stream: object) => void} onStart - receives the new stream
 */
export function initStreamForm(notice, onStart) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    notice.show("");
    try {
      const stream = await sendJson("v1/streams", "POST", readRequest(new FormData(form)));
      form.reset();
      form.querySelector("details").open = false;
      onStart(stream);
    } catch (error) {
      notice.show(error.message);
    } finally {
      button.disabled = false;
    }
  });
}

// Return the StreamRequest of the HTTP API; what is empty is left to the server.
function readRequest(fields) {
  const source = fields.get("source").trim();
  const isUrl = /^[a-z][a-z0-9+.-]*:/i.test(source);
  const request = { ...(isUrl ? { url: source } : { path: source }), ...readScenes(fields) };
  for (const name of NUMBERS) {
    if (fields.get(name) !== "") request[name] = Number(fields.get(name));
  }
  const name = fields.get("name").trim();
  if (name) request.name = name;
  if (!fields.has("explain")) request.explain = false;
  return request;
}
