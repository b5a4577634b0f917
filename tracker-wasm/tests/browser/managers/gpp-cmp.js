// A consent management platform on the IAB's GPP API: of Europe (tcfeuv2) or of a US state, as the page says. A refusal
// is no consent to purposes there and an objection to sharing here.
import { CmpApi } from "@iabgpp/cmpapi";
import { ask, chosen } from "./buttons.js";

const SECTIONS = { tcfeuv2: 2, usnat: 7, usca: 8 };
const section = window.applicableSection;

// The stub of the specification, reduced to what a listener needs, with its way for frames: a locator, and messages.
const queue = [];
window.__gpp = (...call) => (call.length ? void queue.push(call) : queue);
const locator = document.createElement("iframe");
locator.name = "__gppLocator";
locator.hidden = true;
(document.body ?? document.documentElement).append(locator);
addEventListener("message", ({ data, source }) => {
  const isText = typeof data == "string";
  let call;
  try {
    call = (isText ? JSON.parse(data) : data).__gppCall;
  } catch {}
  if (!call) return;
  const { command, parameter = null, version = "1.1", callId } = call;
  const answer = (returnValue, success) => {
    const message = { __gppReturn: { returnValue, success, callId } };
    source.postMessage(isText ? JSON.stringify(message) : message, "*");
  };
  window.__gpp(command, answer, parameter, version);
});

setTimeout(() => {
  const cmp = new CmpApi(10, 1);
  const tell = (choice) => {
    cmp.setSignalStatus("not ready");
    cmp.setApplicableSections(window.applicableSections ?? [SECTIONS[section]]);
    if (section == "tcfeuv2") {
      const accepted = window.acceptedPurposes ?? [1, 7, 8, 9];
      const consents = Array.from({ length: 24 }, (_, at) => choice == "accept" && accepted.includes(at + 1));
      cmp.setFieldValue(section, "CmpId", 10);
      cmp.setFieldValue(section, "PurposeConsents", consents);
    } else {
      for (const field of ["SaleOptOut", "SharingOptOut"]) cmp.setFieldValue(section, field, choice == "decline" ? 1 : 2);
      cmp.setFieldValue(section, "Gpc", window.gpcSignalled === true);
    }
    cmp.fireSectionChange(section);
    cmp.setCmpDisplayStatus("hidden");
    cmp.setSignalStatus("ready");
  };
  cmp.setCmpStatus("loaded");
  if (chosen() || section != "tcfeuv2") tell(chosen() ?? "accept");
  else cmp.setCmpDisplayStatus("visible");
  ask(tell);
}, 50);
