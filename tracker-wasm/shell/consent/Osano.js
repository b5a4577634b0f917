// Osano: https://developers.osano.com/cmp/javascript-api/developer-documentation-consent-javascript-api. A purpose is a
// category in capitals; ESSENTIAL can't be refused. Where the `consentModel` of the jurisdiction is not an explicit one,
// categories are accepted until somebody opts out.
import { answer, purposes, when } from "../purposes.js";

export default (say, words, osano) =>
  when(
    () => osano.cm || (window.Osano || {}).cm,
    (manager) => {
      const asks = /explicit|in$/i.test(manager.consentModel || "in");
      // Without a choice there is nothing to tell; what holds by default in the region is no choice.
      const tell = (consent) =>
        say(
          consent
            ? answer(
                purposes(words, "Osano", ["ANALYTICS"]),
                (category) => consent[category] == "ACCEPT",
                (category) => asks && category != "ESSENTIAL",
              )
            : "unknown",
        );
      for (const event of ["initialized", "consent-saved"]) manager.addEventListener("osano-cm-" + event, tell);
    },
  );
