// Upload of videos, one after the other, with a progress bar. While the server accepts no more of
// them, they wait.
import { requestJson, uploadVideo } from "../shared/api.js";
import { $, setText } from "../shared/dom.js";
import { formatCount } from "../shared/format.js";

const FULL_PAUSE_SECONDS = 3; // until the next look whether the server accepts a video
const MAX_LOST_CONNECTIONS = 3; // of one file
const WAITABLE = [429, 502, 503, 504, 507]; // the queue or the disk is full, or it starts anew

const waiting = []; // {file, scenes} of the files that are not uploaded yet
let numAdded = 0; // since there was none
let stopping = new AbortController();

/**
 * Upload videos, after those that are waiting already. A file that the server refuses does not stop
 * the others; where the server has no room, or can't be reached, they are sent later.
 * @param {File[]} files
 * @param {object} scenes - see `readScenes`
 * @param {(analysis: object) => Promise<void>} onAccepted - receives each new analysis
 * @param {(message: string) => void} onRefused - receives the message of each refused file
 */
export async function uploadVideos(files, scenes, onAccepted, onRefused) {
  const isUploading = waiting.length > 0;
  waiting.push(...files.map((file) => ({ file, scenes })));
  numAdded += files.length;
  if (isUploading || !files.length) return;
  stopping = new AbortController();
  $("upload").hidden = false;
  while (waiting.length) {
    const [next] = waiting;
    try {
      await onAccepted(await uploadWhenAccepted(next));
    } catch (error) {
      if (stopping.signal.aborted) break;
      onRefused(`${next.file.name}: ${error.message}`);
    }
    waiting.shift();
  }
  waiting.length = numAdded = 0;
  $("upload").hidden = true;
}

// Upload a file as soon as the server has room for it.
async function uploadWhenAccepted({ file, scenes }) {
  const position = numAdded > 1 ? ` (${numAdded - waiting.length + 1} of ${numAdded})` : "";
  const showShare = (share) => {
    $("upload-progress").value = share;
    setText($("upload-status"), `Uploading ${file.name}${position}`);
  };
  for (let numLost = 0; numLost <= MAX_LOST_CONNECTIONS;) {
    let isSending = false;
    try {
      // A look is much less work than a large file that is refused.
      const hasRoom = (await requestJson("v1/analyses?limit=1")).free !== 0;
      if (hasRoom) {
        isSending = true;
        return await uploadVideo(file, showShare, stopping.signal, scenes);
      }
      await waitToRetry("The server has no room for more videos now", FULL_PAUSE_SECONDS);
    } catch (error) {
      const isLost = error.status === undefined;
      if (!error.retryAfter || !(isLost || WAITABLE.includes(error.status))) throw error;
      if (isSending && isLost) numLost += 1;
      await waitToRetry(error.message, error.retryAfter);
    }
  }
  throw new Error("the connection was lost again and again");
}

async function waitToRetry(reason, seconds) {
  const count = formatCount(waiting.length, "video");
  $("upload-progress").value = 0;
  setText($("upload-status"), `${reason}. ${count} will be sent when it is possible.`);
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    stopping.signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(stopping.signal.reason);
    });
  });
}

$("stop-uploads").addEventListener("click", () => stopping.abort());
// A page that is closed loses the files that wait.
addEventListener("beforeunload", (event) => {
  if (waiting.length) event.preventDefault();
});
