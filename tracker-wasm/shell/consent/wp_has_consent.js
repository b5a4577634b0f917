// WordPress consent API: https://wordpress.org/plugins/wp-consent-api/. A purpose is a category; `functional` can't be
// refused, and `statistics-anonymous` is on without being asked for. Under any type but "optin", and where nobody asks,
// everybody "has consent".
import { answer, purposes } from "../purposes.js";

export default (say, words, has) => {
  const tell = () =>
    say(
      answer(
        purposes(words, "wp_has_consent", ["statistics"]),
        has,
        (category) =>
          !/^functional|anonymous$/.test(category) &&
          (window.wp_consent_type || window.wp_fallback_consent_type) == "optin",
      ),
    );
  document.addEventListener("wp_listen_for_consent_change", tell);
  document.addEventListener("wp_consent_type_defined", tell);
  tell();
};
