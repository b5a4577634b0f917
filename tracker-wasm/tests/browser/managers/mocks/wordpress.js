// The WordPress consent API as https://wordpress.org/plugins/wp-consent-api/ describes it, with a banner in front.
import { ask, chosen } from "../buttons.js";

window.wp_fallback_consent_type = "optin";
window.wp_has_consent = (category) => category == "functional" || chosen() == "accept";
ask((choice) => {
  const detail = { statistics: choice == "accept" ? "allow" : "deny" };
  document.dispatchEvent(new CustomEvent("wp_listen_for_consent_change", { detail }));
});
setTimeout(() => {
  window.wp_consent_type = window.wp_fallback_consent_type;
  document.dispatchEvent(new CustomEvent("wp_consent_type_defined"));
}, 50);
