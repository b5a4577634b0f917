// In a frame: IAB consent platforms of the page around it answer through messages (TCF CMP API v2 and GPP CMP API 1.1, each in
// its section on iframes). Gives the frame the function by which their adapters ask. Fetched in frames only.

const AGAIN_MS = 1500;

/** The frame among this one's ancestors that has a locator of this name. */
const located = (name) => {
  for (let frame = window; ; frame = frame.parent) {
    try {
      if (frame.frames[name]) return frame;
    } catch {}
    if (frame == frame.parent) return;
  }
};

const bridge = (api, call, returned, request) => {
  const platform = window[api] ? undefined : located(api + "Locator");
  if (!platform || platform == window) return;
  const callbacks = new Map();
  let last = 0;
  const post = (given, callback) => {
    const callId = "lfa" + ++last;
    if (callback) callbacks.set(callId, callback);
    platform.postMessage({ [call]: { ...request(given), callId } }, "*");
    return callId;
  };
  window[api] = (...given) => {
    const callback = given.find((one) => typeof one == "function");
    let known, listener, asked;
    const ask = () => {
      callbacks.delete(asked);
      asked = post(given, (value, success) => {
        const { listenerId, ...told } = value || {};
        if (listenerId !== listener && listener !== undefined) post(["removeEventListener", 2, , listener]);
        listener = listenerId;
        if (known == (known = JSON.stringify(told))) return;
        callback(value, success);
      });
    };
    ask();
    // The IAB's own stub answers a listener's message once only, so that it has to be asked again.
    if (given[0] == "addEventListener") setInterval(() => document.hidden || ask(), AGAIN_MS);
  };
  addEventListener("message", ({ data, source }) => {
    let answer;
    try {
      answer = (typeof data == "string" ? JSON.parse(data) : data)[returned];
    } catch {}
    // Only the platform that was asked may answer.
    if (source == platform && answer) callbacks.get(answer.callId)?.(answer.returnValue, answer.success);
  });
};

export default () => {
  const tcf = ([command, version, , parameter]) => ({ command, version, parameter });
  const gpp = ([command, , parameter, listener]) => ({ command, parameter: listener ?? parameter });
  bridge("__tcfapi", "__tcfapiCall", "__tcfapiReturn", tcf);
  bridge("__gpp", "__gppCall", "__gppReturn", gpp);
};
