// Usercentrics 3 as https://usercentrics.com/docs/web/implementation/ describes it.
import { ask, chosen } from "../buttons.js";

let initialized = false;
const details = (choice) => {
  const type = choice ? "EXPLICIT" : "IMPLICIT";
  const given = choice == "accept";
  const consent = (given) => ({ given, type });
  return {
    consent: { status: given ? "ALL_ACCEPTED" : "ALL_DENIED", type },
    categories: {
      essential: { state: "ALL_ACCEPTED" },
      functional: { state: given ? "ALL_ACCEPTED" : "ALL_DENIED" },
    },
    services: {
      BJ59EidsWQ: { name: "Usercentrics", category: "essential", essential: true, consent: consent(true) },
      HkocEodjb7: { name: "Web statistics", category: "functional", essential: false, consent: consent(given) },
    },
  };
};
const tell = (choice) => dispatchEvent(new CustomEvent("UC_CONSENT", { detail: details(choice) }));

window.__ucCmp = {
  isInitialized: async () => initialized,
  getConsentDetails: async () => details(chosen()),
};
setTimeout(() => {
  initialized = true;
  tell(chosen());
  ask(tell);
}, 50);
