// In a frame: IAB consent platforms of the page around it answer through messages (TCF CMP API v2 and GPP CMP API 1.1, each in
// its section on iframes). Gives the frame the function by which their adapters ask. Fetched in frames only.

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
  window[api] = (...given) => {
    const callId = "lfa" + ++last;
    const callback = given.find((one) => typeof one == "function");
    callbacks.set(callId, callback);
    platform.postMessage({ [call]: { ...request(given), callId } }, "*");
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
  const gpp = ([command, , parameter]) => ({ command, parameter });
  bridge("__tcfapi", "__tcfapiCall", "__tcfapiReturn", tcf);
  bridge("__gpp", "__gppCall", "__gppReturn", gpp);
};
