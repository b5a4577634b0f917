// Didomi as https://developers.didomi.io/cmp/web-sdk/reference/api describes it.
import { ask, chosen } from "../buttons.js";

setTimeout(() => {
  window.Didomi = {
    isConsentRequired: () => !window.consentIsNotRequired,
    shouldUserStatusBeCollected: () => !chosen(),
    getCurrentUserStatus: () => {
      const enabled = chosen() == "accept";
      const ids = ["cookies", "market_research", "measure_content_performance", "improve_products"];
      return { purposes: Object.fromEntries(ids.map((id) => [id, { id, enabled }])), vendors: {} };
    },
  };
  const ready = (window.didomiOnReady = window.didomiOnReady || []);
  ready.push = (callback) => callback(window.Didomi);
  ready.splice(0).forEach(ready.push);
  ask(() => {
    for (const { event, listener } of window.didomiEventListeners ?? []) if (event == "consent.changed") listener({});
  });
}, 50);
