// Signing in, where the server asks for an API key. It is kept in a cookie that scripts can't read.
import { $, write } from "./dom.js";

export function asksForKey() {
  if (!$("signin").open) $("signin").showModal();
}

$("signin").addEventListener("cancel", (event) => event.preventDefault());
$("signin-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ key: $("key").value.trim() });
  const response = await fetch("v1/session", { method: "PUT", headers, body }).catch(() => null);
  if (response?.ok) location.reload();
  else if (response?.status === 401) write($("signin-notice"), "This key is not known here.");
  else write($("signin-notice"), "The server can't be reached; try again.");
});
