// CookieYes as https://www.cookieyes.com/documentation/retrieving-consent-data-using-api-getckyconsent/ and
// https://www.cookieyes.com/documentation/events-on-consent-banner-interactions/ describe it.
import { ask, chosen } from "../buttons.js";

const OPTIONAL = ["functional", "analytics", "performance", "advertisement"];
const consent = () => ({
  activeLaw: window.activeLaw ?? "gdpr",
  categories: { necessary: true, ...Object.fromEntries(OPTIONAL.map((name) => [name, chosen() == "accept"])) },
  isUserActionCompleted: chosen() !== null,
  consentID: "",
  languageCode: "en",
});

setTimeout(() => {
  window.getCkyConsent = consent;
  document.dispatchEvent(new CustomEvent("cookieyes_banner_load", { detail: consent() }));
  ask((choice) => {
    const [accepted, rejected] = choice == "accept" ? [OPTIONAL, []] : [[], OPTIONAL];
    const detail = { accepted: ["necessary", ...accepted], rejected };
    document.dispatchEvent(new CustomEvent("cookieyes_consent_update", { detail }));
  });
}, 50);
