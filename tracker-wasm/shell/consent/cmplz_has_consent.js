// Complianz: https://complianz.io/developers-guide-for-hooks-and-events/. A purpose is a category; `functional` can't be
// refused. Only the consent type "optin" asks: under "optout" and "other" everybody "has consent" at first.
import { answer, purposes } from "../purposes.js";

export default (say, words, has) => {
  const tell = () =>
    say(
      answer(
        purposes(words, "cmplz_has_consent", ["statistics"]),
        has,
        (category) => category != "functional" && (window.complianz || {}).consenttype == "optin",
      ),
    );
  for (const event of ["cmplz_status_change", "cmplz_fire_categories"]) document.addEventListener(event, tell);
  tell();
};
