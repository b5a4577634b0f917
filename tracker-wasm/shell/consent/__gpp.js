// IAB GPP 1.1: https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform. The sections of US states can
// only object; the European one answers like the TCF.
import { answer } from "../purposes.js";

export default (say) => {
  let decided;
  // Not the function by which it was found: that may have been a stub, which the platform replaces when it arrives.
  window.__gpp("addEventListener", ({ pingData: { signalStatus, cmpDisplayStatus, parsedSections, applicableSections } }) => {
    if (signalStatus != "ready") {
      if (!decided && cmpDisplayStatus == "visible") say("unknown");
      return;
    }
    decided = true;
    let said = "absent";
    for (const [name, section] of Object.entries(parsedSections)) {
      for (const part of [].concat(section)) {
        const agreed = part.PurposeConsents;
        if (name == "tcfeuv2") {
          if (applicableSections.includes(2) && agreed && said != "denied")
            said = answer([0, agreed[7] ? 7 : 8], (purpose) => agreed[purpose]);
        } else if (
          part.Gpc === true ||
          part.OptOutSale == "Y" ||
          [part.SaleOptOut, part.SharingOptOut, part.TargetedAdvertisingOptOut].includes(1)
        )
          said = "denied";
      }
    }
    say(said);
  });
};
