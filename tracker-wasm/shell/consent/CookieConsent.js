// vanilla-cookieconsent 3: https://cookieconsent.orestbida.com. A purpose is a category.
import { answer, purposes } from "../purposes.js";

export default (say, words, manager) => {
  // Cookiebot calls one of its globals the same.
  if (!manager.acceptedCategory) return say("absent");
  const tell = () =>
    say(
      manager.validConsent()
        ? answer(purposes(words, "CookieConsent", ["analytics"]), manager.acceptedCategory)
        : "unknown",
    );
  addEventListener("cc:onConsent", tell);
  addEventListener("cc:onChange", tell);
  tell();
};
