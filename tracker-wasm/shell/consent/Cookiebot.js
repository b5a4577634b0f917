// Cookiebot: https://www.cookiebot.com/en/developer/. A purpose is a category. Consent that is implied by going on is
// none.
import { answer, purposes } from "../purposes.js";

export default (say, words) => {
  const tell = () => {
    // Until its script has arrived, the name can be that of its script element.
    const { consent, hasResponse } = window.Cookiebot;
    if (hasResponse)
      say(
        consent.method == "implied"
          ? "unknown"
          : answer(purposes(words, "Cookiebot", ["statistics"]), (category) => consent[category]),
      );
  };
  for (const event of ["ConsentReady", "Accept", "Decline"]) addEventListener("CookiebotOn" + event, tell);
  addEventListener("CookiebotOnDialogDisplay", () => say("unknown"));
  tell();
};
