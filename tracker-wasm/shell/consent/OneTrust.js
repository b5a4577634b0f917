// OneTrust: https://developer.onetrust.com/onetrust/docs/javascript-events-guide. A purpose is the id of a group; one whose
// status is "always active" can't be refused. Where the region's consent model is not "opt-in", groups are active without an
// act of the person (…/docs/consent-models: opt-out, implied consent, notice only).
import { answer, purposes } from "../purposes.js";

export default (say, words, manager) => {
  const counting = purposes(words, "OneTrust", ["C0002"]);
  const tell = () => {
    const active = (window.OnetrustActiveGroups || "").split(",");
    const { ConsentModel: model, Groups: groups } = manager.GetDomainData();
    const isAsked = (id) =>
      model.Name == "opt-in" &&
      !groups.some((group) => [group.CustomGroupId, group.OptanonGroupId].includes(id) && /^always/i.test(group.Status));
    // Groups that are active before the banner was answered are a setting for the region, no choice.
    say(manager.IsAlertBoxClosed() ? answer(counting, (group) => active.includes(group), isAsked) : "unknown");
  };
  addEventListener("OneTrustGroupsUpdated", tell);
  tell();
};
