// What is done once tracking is allowed: how far down the page was seen is watched, and what did not arrive is kept. Fetched
// when the first pageview begins. What only some pages need is fetched from here when they need it.

const QUEUE = "_lfa_queue";
/** Most that is kept, in characters: more than ten full beacons never fit, and pages have storage for a few megabytes. */
const MOST_KEPT = 2e5;

const begin = ({ tell, effects, options, endpoint, part }) => {
  // What watches links and forms is fetched when one is pointed at or used, and then listens by itself.
  const used = (event) => {
    if (event.composedPath()[0].closest?.("a,area,form")) part("links", tell, options, event);
  };
  for (const name of ["pointerover", "focusin", "click", "auxclick", "submit"]) addEventListener(name, used, true);

  let told;
  const scrolled = () => {
    const { scrollTop, clientHeight, scrollHeight } = document.scrollingElement || document.documentElement;
    // Steps of 5 percent: at most 20 calls a page.
    const depth = Math.min(100, Math.floor(((scrollTop + clientHeight) / scrollHeight) * 20) * 5) || 0;
    if (depth > told) tell("depth", (told = depth));
  };
  addEventListener("scroll", scrolled, { passive: true });

  // A line for each beacon, empty where one was given up; in the local storage where storing is allowed, and in memory
  // where that is full or closed.
  let mayStore;
  let memory = "";
  const queue = {
    get lines() {
      try {
        if (mayStore) return localStorage[QUEUE] || memory;
      } catch {}
      return memory;
    },
    set lines(lines) {
      memory = lines;
      try {
        if (mayStore) lines ? (localStorage[QUEUE] = lines) : delete localStorage[QUEUE];
      } catch {}
    },
  };
  // The network may be back a little later than the browser says, and a browser may remember that an address could not be
  // imported: then another one is tried.
  let fresh = "";
  const resend = () =>
    navigator.onLine &&
    part("resend" + fresh, queue, endpoint).then((isHere) => {
      if (isHere) return;
      fresh = ".js?" + Date.now();
      setTimeout(resend, 5e3);
    });
  addEventListener("online", resend);

  // When everything stored is removed, nothing may be stored again; answers that are under way may bring the id back.
  const setExpiry = effects.e;
  effects.e = (days) => {
    if (!days) {
      mayStore = memory = "";
      for (const seconds of [1, 5, 30]) setTimeout(() => mayStore || effects.r("_lfa"), seconds * 1e3);
    }
    setExpiry(days);
  };
  // Another tab removed what is stored.
  addEventListener("storage", ({ key, newValue }) => key == "_lfa_expiry" && !newValue && tell("forget"));

  return (stored, body, credentials) => {
    if (body) {
      const { lines } = queue;
      const beacon = { body, credentials, since: Date.now(), tries: 0 };
      queue.lines = lines + (lines.length < MOST_KEPT ? JSON.stringify(beacon) : "") + "\n";
      resend();
    } else {
      told = 0;
      scrolled();
      if (+stored && !mayStore) {
        mayStore = 1;
        if (queue.lines) resend();
      }
    }
  };
};

let watching;
/** Called for each pageview, `stored` saying whether something may be stored, and for each beacon that did not arrive. */
export default (shell, ...given) => (watching = watching || begin(shell))(...given);
