// Beacons that did not arrive are kept and sent again: in the local storage where the person agreed to storing, else in
// memory. Each event has an id, so that one which did arrive is not counted twice.

const KEY = "_lfa_queue";
const MOST_BEACONS = 30;
const MOST_TRIES = 6;
const LONGEST_MS = 7 * 864e5; // The collector doesn't believe events that are older.
const FIRST_PAUSE_MS = 5e3;

/** Replaces how the shell sends; gives a function that says whether storing is allowed. */
export default (effects, endpoint) => {
  let mayStore;
  let kept = [];
  let timer;

  const read = () => {
    try {
      if (mayStore) return JSON.parse(localStorage[KEY] || "[]");
    } catch {}
    return kept;
  };
  const write = (beacons) => {
    kept = beacons.slice(-MOST_BEACONS);
    try {
      if (mayStore) kept[0] ? (localStorage[KEY] = JSON.stringify(kept)) : localStorage.removeItem(KEY);
    } catch {}
  };
  const drop = ({ body }) => write(read().filter((other) => other.body != body));

  const later = (tries) => {
    clearTimeout(timer);
    timer = setTimeout(again, FIRST_PAUSE_MS * 2 ** tries);
  };
  const send = (beacon) => {
    // The collector counts an event's age from when it was sent.
    const body = beacon.body.replace(/"sent":\d+/, '"sent":' + Date.now());
    fetch(endpoint, { method: "POST", body, keepalive: true, credentials: beacon.credentials })
      .then(({ status }) => {
        if (status > 499 || status == 429) throw status;
        drop(beacon);
      })
      .catch(() => {
        if (navigator.onLine) beacon.tries++;
        drop(beacon);
        if (beacon.tries < MOST_TRIES) write([...read(), beacon]);
        later(beacon.tries);
      });
  };
  const again = () => {
    const beacons = read().filter(({ since }) => Date.now() - since < LONGEST_MS);
    write(beacons);
    if (navigator.onLine) beacons.forEach(send);
  };

  // While the page is shown, the answer can be waited for. A page that goes away leaves it to the browser.
  const replace = (letter, credentials) => {
    const atOnce = effects[letter];
    effects[letter] = (body) => {
      const beacon = { body, credentials, since: Date.now(), tries: 0 };
      if (!navigator.onLine) write([...read(), beacon]);
      else if (document.hidden) atOnce(body);
      else send(beacon);
    };
  };
  replace("b", "include");
  replace("a", "omit");

  // When everything stored is removed, nothing may be stored again.
  const setExpiry = effects.e;
  effects.e = (days) => {
    if (!days) {
      kept = [];
      mayStore = 0;
    }
    setExpiry(days);
  };
  addEventListener("online", again);
  return (stored) => {
    if (stored && !mayStore) {
      mayStore = 1;
      again();
    }
  };
};
