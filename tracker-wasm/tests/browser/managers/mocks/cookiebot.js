// Cookiebot as https://www.cookiebot.com/en/developer/ describes it. Until its script has run, the name is that of the
// script element, whose id it is.
import { ask, chosen } from "../buttons.js";

const state = { hasResponse: false, consented: false, declined: false, consent: { necessary: true, method: null } };
const tell = (choice) => {
  const agreed = choice == "accept";
  Object.assign(state, { hasResponse: true, consented: agreed, declined: !agreed });
  Object.assign(state.consent, { preferences: agreed, statistics: agreed, marketing: agreed, method: window.consentMethod ?? "explicit" });
  dispatchEvent(new Event("CookiebotOnConsentReady"));
  dispatchEvent(new Event(agreed ? "CookiebotOnAccept" : "CookiebotOnDecline"));
};

Object.assign(state.consent, { preferences: false, statistics: false, marketing: false });
window.CookieConsent = window.Cookiebot = state;
setTimeout(() => {
  dispatchEvent(new Event("CookiebotOnLoad"));
  if (chosen()) tell(chosen());
  else dispatchEvent(new Event("CookiebotOnDialogDisplay"));
  ask(tell);
}, 50);
