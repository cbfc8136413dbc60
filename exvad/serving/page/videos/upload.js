// Upload of videos, one after the other, with a progress bar.
import { uploadVideo } from "../shared/api.js";
import { $, setText } from "../shared/dom.js";

/**
 * Upload videos; a file that the server refuses does not stop the others.
 * @param {File[]} files
 * @param {(analysis: object) => Promise<void>} onAccepted - receives each new analysis
 * @param {(messages: string[]) => void} onRefused - receives the messages of all refused files
 */
export async function uploadVideos(files, onAccepted, onRefused) {
  const refusals = [];
  for (const [index, file] of files.entries()) {
    const position = files.length > 1 ? ` (${index + 1} of ${files.length})` : "";
    $("upload").hidden = false;
    try {
      const analysis = await uploadVideo(file, (share) => {
        $("upload-progress").value = share;
        setText($("upload-status"), `Uploading ${file.name}${position}`);
      });
      await onAccepted(analysis);
    } catch (error) {
      refusals.push(`${file.name}: ${error.message}`);
      onRefused(refusals);
    }
  }
  $("upload").hidden = true;
}
