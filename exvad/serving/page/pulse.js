// A worker that only keeps time: browsers let the timers of a page in the background sleep for a
// minute, and alerts are not to wait for that.
setInterval(() => postMessage(null), 500);
