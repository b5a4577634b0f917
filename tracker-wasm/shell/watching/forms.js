// What is told of a form that is sent: the names of its fields, and values only of those that the site's owner names.

const NO_FIELDS = /^(password|hidden|submit|button|reset|image|file|fieldset|output)$/;
const MOST_FIELDS = 50;
const LONGEST = 256;

/** Whether a field may be told of at all. */
const isTold = ({ name, type, autocomplete }) =>
  name && !NO_FIELDS.test(type) && !/(^|\s)(cc-|one-time|(new|current)-password)/.test(autocomplete || "");

/** `{fields: […], values: {…}}`; `named` is the owner's list of fields whose values may be told, separated by spaces. */
export const describe = (form, named = "") => {
  const wanted = named.split(/[\s,]+/);
  const fields = [];
  const values = {};
  for (const field of form.elements) {
    if (!isTold(field) || field.closest("[data-lfa-ignore]")) continue;
    const { name, type, value } = field;
    if (!fields.includes(name) && fields.length < MOST_FIELDS) fields.push(name.slice(0, LONGEST));
    const isChosen = !/^(radio|checkbox)$/.test(type) || field.checked;
    if (isChosen && wanted.includes(name)) values[name] = String(value).slice(0, LONGEST);
  }
  return { fields, values };
};
