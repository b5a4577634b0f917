// OneTrust as https://developer.onetrust.com/onetrust/docs/javascript-events-guide describes it: an active group is in
// OnetrustActiveGroups; OneTrustGroupsUpdated comes with each load and each change. `window.consentModel` stands for what the
// owner set for the visitor's region.
import { ask, chosen } from "../buttons.js";

const tell = (choice) => {
  const groups = choice == "accept" ? ["C0001", "C0002", "C0003"] : ["C0001"];
  window.OnetrustActiveGroups = `,${groups.join(",")},`;
  for (const listener of listeners) listener({ detail: groups });
  dispatchEvent(new CustomEvent("OneTrustGroupsUpdated", { detail: groups }));
};
const listeners = [];

setTimeout(() => {
  window.OneTrust = {
    IsAlertBoxClosed: () => chosen() !== null,
    GetDomainData: () => ({
      ConsentModel: { Name: window.consentModel ?? "opt-in" },
      Groups: [
        { CustomGroupId: "C0001", OptanonGroupId: "C0001", Status: "always active" },
        { CustomGroupId: "C0002", OptanonGroupId: "C0002", Status: "inactive" },
      ],
    }),
    OnConsentChanged: (listener) => listeners.push(listener),
  };
  tell(chosen());
  ask(tell);
}, 50);
