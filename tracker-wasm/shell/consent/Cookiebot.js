// Cookiebot: https://www.cookiebot.com/en/developer/. A purpose is a category; `necessary` can't be refused. Only where
// `method` is "explicit" did the person choose: elsewhere going on implies consent, or the region asks for none.
import { answer, purposes } from "../purposes.js";

export default (say, words) => {
  const tell = () => {
    // Until its script has arrived, the name can be that of its script element.
    const { consent, hasResponse } = window.Cookiebot;
    if (hasResponse)
      say(
        consent.method == "explicit"
          ? answer(
              purposes(words, "Cookiebot", ["statistics"]),
              (category) => consent[category],
              (category) => category != "necessary",
            )
          : "unknown",
      );
  };
  for (const event of ["ConsentReady", "Accept", "Decline"]) addEventListener("CookiebotOn" + event, tell);
  addEventListener("CookiebotOnDialogDisplay", () => say("unknown"));
  tell();
};
