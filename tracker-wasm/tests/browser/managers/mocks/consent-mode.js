// A banner that speaks Google Consent Mode v2, as
// https://developers.google.com/tag-platform/security/guides/consent describes it.
import { ask, chosen } from "../buttons.js";

window.dataLayer = window.dataLayer || [];
window.gtag = function () {
  window.dataLayer.push(arguments);
};
const settings = (choice) =>
  Object.fromEntries(
    ["ad_storage", "ad_user_data", "ad_personalization", "analytics_storage"].map((type) => [
      type,
      choice == "accept" ? "granted" : "denied",
    ]),
  );

window.gtag("consent", "default", { ...settings(), wait_for_update: 500 });
window.gtag("js", new Date());
setTimeout(() => {
  if (chosen()) window.gtag("consent", "update", settings(chosen()));
  ask((choice) => window.gtag("consent", "update", settings(choice)));
}, 50);
