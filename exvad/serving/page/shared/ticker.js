// A web worker that sends a message twice a second. Browsers delay the timers of a page in the
// background by up to a minute, but not those of a worker.
setInterval(() => postMessage(null), 500);
