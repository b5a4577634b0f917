// CookieYes: https://www.cookieyes.com/documentation/retrieving-consent-data-using-api-getckyconsent/. A purpose is a
// category; `necessary` can't be refused. Under any `activeLaw` but "gdpr" categories are on until somebody opts out.
import { answer, purposes } from "../purposes.js";

export default (say, words, consent) => {
  const counting = purposes(words, "getCkyConsent", ["analytics"]);
  const told = (agreed) =>
    say(answer(counting, agreed, (category) => category != "necessary" && consent().activeLaw == "gdpr"));
  const tell = () => {
    const { categories, isUserActionCompleted } = consent();
    if (isUserActionCompleted) told((category) => categories[category]);
    else say("unknown");
  };
  document.addEventListener("cookieyes_consent_update", ({ detail }) =>
    told((category) => detail.accepted.includes(category)),
  );
  document.addEventListener("cookieyes_banner_load", tell);
  tell();
};
