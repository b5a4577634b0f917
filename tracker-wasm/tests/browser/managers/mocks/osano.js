// Osano as https://developers.osano.com/cmp/javascript-api/developer-documentation-consent-javascript-api describes it.
import { ask, chosen } from "../buttons.js";

const consent = (choice) => ({
  ESSENTIAL: "ACCEPT",
  ANALYTICS: choice == "accept" ? "ACCEPT" : "DENY",
  MARKETING: "DENY",
  OPT_OUT: "DENY",
});
const listeners = [];
const tell = (choice) => {
  for (const [event, listener] of listeners) if (event == "osano-cm-consent-saved") listener(consent(choice));
};

setTimeout(() => {
  window.Osano = {
    cm: {
      consentModel: window.consentModel ?? "opt-in",
      // Who listens after the start is told at once; undefined stands for no choice.
      addEventListener: (event, listener) => {
        listeners.push([event, listener]);
        if (event == "osano-cm-initialized") listener(chosen() ? consent(chosen()) : undefined);
      },
    },
  };
  ask(tell);
}, 50);
