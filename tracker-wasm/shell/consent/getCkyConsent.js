// CookieYes: https://www.cookieyes.com/documentation/retrieving-consent-data-using-api-getckyconsent/. A purpose is a
// category.
import { answer, purposes } from "../purposes.js";

export default (say, words, consent) => {
  const counting = purposes(words, "getCkyConsent", ["analytics"]);
  const tell = () => {
    const { categories, isUserActionCompleted } = consent();
    say(isUserActionCompleted ? answer(counting, (category) => categories[category]) : "unknown");
  };
  document.addEventListener("cookieyes_consent_update", ({ detail }) =>
    say(answer(counting, (category) => detail.accepted.includes(category))),
  );
  document.addEventListener("cookieyes_banner_load", tell);
  tell();
};
