// Sign in with an API key. The server stores it in a cookie that scripts cannot read.
import { sendJson } from "./api.js";
import { $, setText } from "./dom.js";

/** Open the sign-in dialog. */
export function openSignIn() {
  if (!$("sign-in").open) $("sign-in").showModal();
}

async function signIn(event) {
  event.preventDefault();
  try {
    await sendJson("v1/session", "PUT", { key: $("api-key").value.trim() });
    location.reload();
  } catch (error) {
    const message = error.status === 401 ? "This API key is not valid." : `${error.message}.`;
    setText($("sign-in-notice"), message);
  }
}

// Nothing works without the key, so the Escape key does not close the dialog.
$("sign-in").addEventListener("cancel", (event) => event.preventDefault());
$("sign-in-form").addEventListener("submit", signIn);
