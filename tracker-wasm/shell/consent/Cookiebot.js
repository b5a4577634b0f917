// Cookiebot: https://www.cookiebot.com/en/developer/. A purpose is a category. Consent that is implied by going on is
// none.
import { answer, purposes } from "../purposes.js";

export default (say, words) => {
  const tell = () => {
    // Until its script has arrived, the name can be that of its script element.
    const { consent, hasResponse } = window.Cookiebot;
    say(
      hasResponse && consent.method != "implied"
        ? answer(purposes(words, "Cookiebot", ["statistics"]), (category) => consent[category])
        : "unknown",
    );
  };
  for (const event of ["ConsentReady", "Accept", "Decline"]) addEventListener("CookiebotOn" + event, tell);
  tell();
};
