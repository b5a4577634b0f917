// Axeptio: https://support.axeptio.eu/hc/en-gb/articles/30301629739665-Axeptio-Javascript-SDK. A purpose is the name of
// a vendor.
import { answer, purposes } from "../purposes.js";

export default (say, words, manager) => {
  const tell = (choices) => {
    const counting = purposes(words, "axeptioSDK", ["firmsight", "google_analytics"], (vendor) => vendor in choices);
    say(answer(counting, (vendor) => choices[vendor]));
  };
  manager.on("cookies:complete", tell);
  // Told before we listened, or by an earlier visit.
  const { choices } = manager.userPreferencesManager || {};
  if (choices && choices.$$completed) tell(choices);
  else say("unknown");
};
