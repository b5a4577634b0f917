// vanilla-cookieconsent 3: https://cookieconsent.orestbida.com. A purpose is a category; one that is `readOnly` can't be
// refused (reference/configuration-reference.html#category-readonly).
import { answer, purposes } from "../purposes.js";

export default (say, words, manager) => {
  // Cookiebot calls one of its globals the same.
  if (!manager.acceptedCategory) return say("absent");
  const tell = () => {
    if (manager.validConsent())
      say(
        answer(
          purposes(words, "CookieConsent", ["analytics"]),
          manager.acceptedCategory,
          (category) => !manager.getConfig("categories")[category].readOnly,
        ),
      );
    // Its dialogue: before that is there, a choice of an earlier visit may just not have been loaded.
    else if (document.getElementById("cc-main")) say("unknown");
  };
  for (const event of ["Consent", "Change", "ModalShow"]) addEventListener("cc:on" + event, tell);
  tell();
};
