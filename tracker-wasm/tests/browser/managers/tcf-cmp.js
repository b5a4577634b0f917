// A consent management platform on the IAB's own CMP API.
import { CmpApi } from "@iabtechlabtcf/cmpapi";
import { GVL, TCModel, TCString } from "@iabtechlabtcf/core";
import { ask, chosen } from "./buttons.js";

const entries = (count) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, at) => [at + 1, { id: at + 1, name: "", description: "", illustrations: [] }]),
  );
const list = {
  gvlSpecificationVersion: 3,
  vendorListVersion: 1,
  tcfPolicyVersion: 5,
  lastUpdated: "2026-01-01T00:00:00Z",
  purposes: entries(11),
  specialPurposes: entries(3),
  features: entries(3),
  specialFeatures: entries(2),
  stacks: {},
  dataCategories: {},
  vendors: {},
};
const encoded = (choice) => {
  const model = new TCModel(new GVL(list));
  Object.assign(model, { cmpId: 10, cmpVersion: 1, publisherCountryCode: "DE" });
  model.purposeConsents.set(choice == "accept" ? (window.acceptedPurposes ?? [1, 7, 8, 9, 10]) : []);
  model.purposeLegitimateInterests.set(window.legitimateInterests ?? []);
  return TCString.encode(model);
};

// A platform needs a moment, in which calls wait in its stub.
setTimeout(() => {
  const cmp = new CmpApi(10, 1, true);
  if (window.gdprDoesNotApply) return cmp.update(null);
  const choice = chosen();
  cmp.update(choice ? encoded(choice) : "", !choice);
  ask((choice) => cmp.update(encoded(choice), false));
  window.reopen = () => cmp.update(encoded(chosen()), true);
}, 50);
