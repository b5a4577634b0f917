// Complianz: https://complianz.io/developers-guide-for-hooks-and-events/. A purpose is a category.
import { answer, purposes } from "../purposes.js";

export default (say, words, has) => {
  const tell = () => {
    const said = answer(purposes(words, "cmplz_has_consent", ["statistics"]), has);
    // Where one has to opt out, everybody "has consent" at first: that is no grant.
    const asks = (window.complianz || {}).consenttype == "optin";
    say(said == "granted" && !asks ? "absent" : said);
  };
  for (const event of ["cmplz_status_change", "cmplz_fire_categories"]) document.addEventListener(event, tell);
  tell();
};
