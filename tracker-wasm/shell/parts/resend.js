// Sends again what did not arrive: at once, then with growing pauses. Each event has an id, so that one which did arrive is
// not counted twice. Fetched when a beacon failed, or when an earlier page left some.

const MOST_TRIES = 6;
const LONGEST_MS = 7 * 864e5; // The collector doesn't believe events that are older.
const FIRST_PAUSE_MS = 5e3;

let timer;
let busy;

/** Gives true, so that who asked knows that this is here. */
export default (...given) => {
  resend(...given);
  return true;
};

/**
 * `queue.lines` holds a line for each beacon that waits, {body, credentials, since, tries} as JSON, empty where one was
 * given up.
 */
async function resend(queue, endpoint) {
  if (busy || !navigator.onLine) return;
  busy = 1;
  /** Puts others in the place of the first line that is this one. */
  const replace = (line, ...others) => {
    const lines = queue.lines.split("\n");
    const at = lines.indexOf(line);
    if (at >= 0 && lines.length > 1) lines.splice(at, 1, ...others);
    queue.lines = lines.join("\n");
  };
  let slowest = -1;
  for (const line of queue.lines.split("\n")) {
    if (!line) continue;
    let beacon;
    try {
      beacon = JSON.parse(line);
    } catch {
      replace(line); // No line of ours.
      continue;
    }
    // The collector counts an event's age from when it was sent, and what was given up until then.
    const givenUp = queue.lines.split("\n").filter((other) => !other).length - 1;
    const lost = givenUp > 0 ? `"lost":${givenUp},` : "";
    const body = beacon.body.replace(/"sent":\d+/, `${lost}"sent":${Date.now()}`);
    if (Date.now() - beacon.since > LONGEST_MS) {
      replace(line, "");
      continue;
    }
    try {
      // Without keepalive, whose requests share 64 KiB: what a page that goes away doesn't finish stays in the queue.
      const { status } = await fetch(endpoint, { method: "POST", body, credentials: beacon.credentials });
      if (status == 429 || status > 499) throw status;
      replace(line);
      for (let told = 0; told < givenUp; told++) replace("");
    } catch {
      beacon.tries += navigator.onLine;
      slowest = Math.max(slowest, beacon.tries);
      replace(line, beacon.tries < MOST_TRIES ? JSON.stringify(beacon) : "");
    }
  }
  busy = 0;
  if (slowest < 0) return;
  clearTimeout(timer);
  timer = setTimeout(resend, FIRST_PAUSE_MS * 2 ** slowest, queue, endpoint);
}
