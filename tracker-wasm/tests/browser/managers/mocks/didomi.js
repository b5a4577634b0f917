// Didomi as https://developers.didomi.io/cmp/web-sdk/reference/api describes it.
import { ask, chosen } from "../buttons.js";

setTimeout(() => {
  window.Didomi = {
    isConsentRequired: () => !window.consentIsNotRequired,
    shouldUserStatusBeCollected: () => !chosen(),
    getUserStatus: () => {
      const ids = ["cookies", "market_research", "measure_content_performance", "improve_products"];
      // What rests on a legitimate interest is enabled until somebody objects.
      const claimed = window.claimedPurposes ?? [];
      const asked = ids.filter((id) => !claimed.includes(id));
      const [enabled, disabled] = chosen() == "accept" ? [asked, []] : [[], asked];
      return {
        purposes: {
          consent: { enabled, disabled },
          legitimate_interest: { enabled: claimed, disabled: [] },
          global: { enabled: [...enabled, ...claimed, "essential"], disabled },
          essential: ["essential"],
        },
      };
    },
  };
  const ready = (window.didomiOnReady = window.didomiOnReady || []);
  ready.push = (callback) => callback(window.Didomi);
  ready.splice(0).forEach(ready.push);
  ask(() => {
    for (const { event, listener } of window.didomiEventListeners ?? []) if (event == "consent.changed") listener({});
  });
}, 50);
