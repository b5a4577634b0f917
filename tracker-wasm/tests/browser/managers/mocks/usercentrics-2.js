// Usercentrics 2 as https://usercentrics.com/docs/web/features/api/control-functionality/ describes it.
import { ask, chosen } from "../buttons.js";

let initialized = false;
let status = chosen() == "accept";
const services = () => [
  { id: "BJ59EidsWQ", name: "Usercentrics", categorySlug: "essential", consent: { status: true } },
  { id: "HkocEodjb7", name: "Web statistics", categorySlug: "functional", consent: { status } },
  { id: "S1_9Vsuj-Q", name: "Advertising", categorySlug: "marketing", consent: { status: false } },
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
