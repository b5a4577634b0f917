// What may only be done once tracking is allowed: watching links, forms and how far down the page was seen, and
// sending again what did not arrive. Fetched when the first pageview begins.
import deliver from "../watching/delivery.js";
import { describe } from "../watching/forms.js";
import { kindOf } from "../watching/links.js";

/** `tell` tells the core; what this gives is called for each pageview. */
export default ({ tell, effects, options, endpoint }) => {
  const clicked = (event) => {
    // Buttons 0 and 1 follow a link; clicks inside of shadow trees name their link in the path only.
    const link = event.button < 2 && event.composedPath().find((element) => element.href && element.pathname);
    if (!link || link.closest("[data-lfa-ignore]")) return;
    const kind = kindOf(link, location.host, options.downloads);
    if (kind) tell("watched", kind, JSON.stringify({ url: link.href.split("#")[0] }));
  };
  for (const name of ["click", "auxclick"]) addEventListener(name, clicked, true);

  const submitted = ({ target: form }) => {
    if (form.closest("[data-lfa-ignore]")) return;
    const { fields, values } = describe(form, options.formValues);
    // By getAttribute: a field that is called "id" hides the form's own.
    const name = form.getAttribute("id") || form.getAttribute("name");
    const withValues = Object.keys(values)[0] && JSON.stringify({ fields, values });
    tell("watched", "form", JSON.stringify({ fields }), name, withValues);
  };
  addEventListener("submit", submitted, true);

  let told;
  const scrolled = () => {
    const { scrollTop, clientHeight, scrollHeight } = document.scrollingElement || document.documentElement;
    // Steps of 5 percent: at most 20 calls a page.
    const depth = Math.min(100, Math.floor(((scrollTop + clientHeight) / scrollHeight) * 20) * 5) || 0;
    if (depth > told) tell("depth", (told = depth));
  };
  addEventListener("scroll", scrolled, { passive: true });

  const mayStore = deliver(effects, endpoint);
  return (stored) => {
    mayStore(+stored);
    told = 0;
    scrolled();
  };
};
