// IAB GPP 1.1: https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform. The sections of US states can
// only object; the European one answers like the TCF.
import { answer } from "../purposes.js";

export default (say, words, api) =>
  api("addEventListener", ({ pingData: { signalStatus, parsedSections, applicableSections } }) => {
    if (signalStatus != "ready") return;
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
