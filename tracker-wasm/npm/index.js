// Puts the tracker's script tag into the page and queues calls until it has arrived. Does nothing where there is no
// document, so that the same code runs on a server.

const hasPage = () => typeof window !== "undefined" && typeof document !== "undefined";

/** Calls wait in `lfa.q` until the tracker takes them over. */
const queued = () => {
  if (!window.lfa) {
    const waiting = (...call) => void waiting.q.push(call);
    waiting.q = [];
    window.lfa = waiting;
  }
  return window.lfa;
};

export const lfa = (...call) => {
  if (hasPage()) queued()(...call);
};

/** Under `require-trusted-types-for 'script'` the page allows the policy named `firmsight`. */
const trusted = (address) => {
  try {
    return window.trustedTypes?.createPolicy("firmsight", { createScriptURL: () => address }).createScriptURL("") ?? address;
  } catch {
    return address;
  }
};

let isStarted = false;

export const start = ({ script, nonce, integrity, ...options }) => {
  if (!hasPage() || isStarted) return;
  isStarted = true;
  queued();
  const tag = document.createElement("script");
  tag.async = true;
  if (nonce) tag.nonce = nonce;
  if (integrity) {
    tag.integrity = integrity;
    tag.crossOrigin = "anonymous";
  }
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && value !== false) tag.dataset[name] = value === true ? "" : String(value);
  }
  tag.src = trusted(script);
  document.head.append(tag);
};
