// Usercentrics 2 as https://usercentrics.com/docs/web/features/api/control-functionality/ describes it.
import { ask, chosen } from "../buttons.js";

let initialized = false;
let status = chosen() == "accept";
const service = (id, name, categorySlug, status, type = window.consentType ?? "explicit") => ({
  id,
  name,
  categorySlug,
  isEssential: categorySlug == "essential",
  consent: { status, history: [{ status, type, action: "onInitialPageLoad" }] },
});
const services = () => [
  service("BJ59EidsWQ", "Usercentrics", "essential", true, "implicit"),
  service("HkocEodjb7", "Web statistics", "functional", status),
  service("S1_9Vsuj-Q", "Advertising", "marketing", false),
];

window.UC_UI = {
  isInitialized: () => initialized,
  isConsentRequired: () => !chosen(),
  getServicesBaseInfo: () => services(),
};
setTimeout(() => {
  initialized = true;
  dispatchEvent(new Event("UC_UI_INITIALIZED"));
  ask((choice) => {
    const type = choice == "accept" ? "ACCEPT_ALL" : "DENY_ALL";
    dispatchEvent(new CustomEvent("UC_UI_CMP_EVENT", { detail: { source: "button", type } }));
    // The status follows the announcement.
    setTimeout(() => (status = choice == "accept"), 100);
  });
}, 50);
