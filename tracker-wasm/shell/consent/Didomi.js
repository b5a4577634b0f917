// Didomi: https://developers.didomi.io/cmp/web-sdk/reference/api. A purpose is the id of one. By default what the TCF
// calls 1, and 8 or 9.
import { answer, purposes, takingBack } from "../purposes.js";

export default (say, words) => {
  const told = takingBack(say);
  const tell = () => {
    const manager = window.Didomi;
    const { purposes: known } = manager.getCurrentUserStatus();
    const agreed = (id) => (known[id] || {}).enabled;
    const audience = ["market_research", "measure_content_performance"];
    const counting = purposes(words, "Didomi", ["cookies", audience.find(agreed) || audience[0]]);
    // Where consent isn't required, no one is asked, and nobody has said yes or no.
    told(
      manager.isConsentRequired()
        ? manager.shouldUserStatusBeCollected()
          ? "unknown"
          : answer(counting, agreed)
        : "absent",
    );
  };
  (window.didomiOnReady = window.didomiOnReady || []).push(tell);
  (window.didomiEventListeners = window.didomiEventListeners || []).push({ event: "consent.changed", listener: tell });
};
