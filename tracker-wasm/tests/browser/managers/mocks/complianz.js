// Complianz as https://complianz.io/developers-guide-for-hooks-and-events/ describes it.
import { ask, chosen } from "../buttons.js";

setTimeout(() => {
  window.complianz = { consenttype: window.consentType ?? "optin" };
  window.cmplz_has_consent = (category) => category == "functional" || chosen() == "accept";
  ask((choice) => {
    const detail = { category: "statistics", value: choice == "accept" ? "allow" : "deny" };
    document.dispatchEvent(new CustomEvent("cmplz_status_change", { detail }));
  });
}, 50);
