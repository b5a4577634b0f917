// Links that are followed and forms that are sent. Fetched when the person first points at one or uses it.
import { describe } from "../watching/forms.js";
import { kindOf } from "../watching/links.js";

let tellOf;

/** `event` is one for which this was fetched: what happened before this listened by itself is told now. */
export default (tell, options, event) => {
  tellOf = tellOf || listen(tell, options);
  tellOf(event);
};

const listen = (tell, options) => {
  const clicked = (event) => {
    // Buttons 0 and 1 follow a link; clicks inside of shadow trees name their link in the path only, which is gone later.
    const path = [...event.composedPath(), event.target.closest?.("a,area")];
    const link = event.button < 2 && path.find((element) => element?.href && element.pathname);
    if (!link || link.closest("[data-lfa-ignore]")) return;
    const kind = kindOf(link, location.host, options.downloads);
    if (kind) tell("watched", kind, JSON.stringify({ url: link.href.split("#")[0] }));
  };
  const submitted = ({ target: form }) => {
    if (form.closest("[data-lfa-ignore]")) return;
    const { fields, values } = describe(form, options.formValues);
    // By getAttribute: a field that is called "id" hides the form's own.
    const name = form.getAttribute("id") || form.getAttribute("name");
    const withValues = Object.keys(values)[0] && JSON.stringify({ fields, values });
    tell("watched", "form", JSON.stringify({ fields }), name, withValues);
  };
  const listeners = { click: clicked, auxclick: clicked, submit: submitted };
  for (const name in listeners) addEventListener(name, listeners[name], true);
  const since = performance.now();
  return (event) => event.timeStamp < since && listeners[event.type]?.(event);
};
