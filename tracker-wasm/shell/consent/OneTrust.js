// OneTrust: https://developer.onetrust.com/onetrust/docs/javascript-events-guide. A purpose is the id of a group.
import { answer, purposes } from "../purposes.js";

export default (say, words, manager) => {
  const counting = purposes(words, "OneTrust", ["C0002"]);
  const tell = () => {
    const active = (window.OnetrustActiveGroups || "").split(",");
    // Groups that are active before the banner was answered are a setting for the region, no choice.
    say(manager.IsAlertBoxClosed() ? answer(counting, (group) => active.includes(group)) : "unknown");
  };
  addEventListener("OneTrustGroupsUpdated", tell);
  tell();
};
