// WordPress consent API: https://wordpress.org/plugins/wp-consent-api/. A purpose is a category.
import { answer, purposes } from "../purposes.js";

export default (say, words, has) => {
  const tell = () => {
    const said = answer(purposes(words, "wp_has_consent", ["statistics"]), has);
    // Where one has to opt out, and where nobody asks, everybody "has consent": that is no grant.
    const asks = (window.wp_consent_type || window.wp_fallback_consent_type) == "optin";
    say(said == "granted" && !asks ? "absent" : said);
  };
  document.addEventListener("wp_listen_for_consent_change", tell);
  document.addEventListener("wp_consent_type_defined", tell);
  tell();
};
