// Didomi: https://developers.didomi.io/cmp/web-sdk/reference/api. A purpose is the id of one. By default what the TCF
// calls 1, and 8 or 9. Only consents count that the person gave: `getCurrentUserStatus` has purposes enabled that are
// essential, or rest on a legitimate interest (…/reference/api#getuserstatus).
import { answer, purposes, takingBack } from "../purposes.js";

export default (say, words) => {
  const told = takingBack(say);
  const tell = () => {
    const manager = window.Didomi;
    const { consent, essential } = manager.getUserStatus().purposes;
    const agreed = (id) => consent.enabled.includes(id) || (essential || []).includes(id);
    const audience = ["market_research", "measure_content_performance"];
    const counting = purposes(words, "Didomi", ["cookies", audience.find(agreed) || audience[0]]);
    // Where consent isn't required, no one is asked, and nobody has said yes or no.
    told(
      manager.isConsentRequired() && !manager.shouldUserStatusBeCollected()
        ? answer(counting, agreed, (id) => consent.enabled.includes(id))
        : "unknown",
    );
  };
  (window.didomiOnReady = window.didomiOnReady || []).push(tell);
  (window.didomiEventListeners = window.didomiEventListeners || []).push({ event: "consent.changed", listener: tell });
};
