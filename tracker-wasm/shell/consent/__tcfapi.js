// IAB TCF 2.x, CMP API v2: https://github.com/InteractiveAdvertisingBureau/GDPR-Transparency-and-Consent-Framework.
// A purpose is its number. By default 1 (storage), and 8 (content performance) or 9 (audience statistics). Only `consents`
// count: `legitimateInterests` are claimed without an act of the person.
import { answer, purposes } from "../purposes.js";

export default (say, words) => {
  let decided;
  // Not the function by which it was found: that may have been a stub, which the platform replaces when it arrives.
  window.__tcfapi("addEventListener", 2, (data, success) => {
    if (!success) return;
    if (data.gdprApplies === false) say("absent");
    else if (data.eventStatus == "cmpuishown") {
      // The dialogue opened again takes nothing back.
      if (!decided) say("unknown");
    } else if (["tcloaded", "useractioncomplete"].includes(data.eventStatus)) {
      decided = true;
      const { consents } = data.purpose;
      const numbers = purposes(words, "__tcfapi", []).filter(Number);
      say(answer(numbers[0] ? numbers : [1, consents[8] ? 8 : 9], (purpose) => consents[purpose]));
    }
  });
};
