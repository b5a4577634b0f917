// What may only be watched once tracking is allowed: links that leave the site or fetch a file, and how far down the
// page was seen. Fetched when the first pageview begins.

const DOWNLOADS = /\.(7z|avi|csv|dmg|docx?|exe|gz|key|mov|mp[34]|msi|numbers|od[pst]|pages|pdf|pkg|pptx?|rar|rtf|txt|wav|wmv|xlsx?|zip)$/i;

/** What following the link is: `download`, `outbound` or nothing. */
export const kindOf = (link, page) =>
  !/^https?:$/.test(link.protocol)
    ? ""
    : link.hasAttribute("download") || DOWNLOADS.test(link.pathname)
      ? "download"
      : link.host != page.host
        ? "outbound"
        : "";

/** `tell` tells the core; called again for each pageview. */
export default ({ tell }) => {
  const clicked = (event) => {
    // Buttons 0 and 1 follow a link; clicks inside of shadow trees name their link in the path only.
    const link = event.button < 2 && event.composedPath().find((element) => element.href && element.pathname);
    const kind = link && kindOf(link, location);
    if (kind) tell("watched", kind, JSON.stringify({ url: link.href.split("#")[0] }));
  };
  for (const name of ["click", "auxclick"]) addEventListener(name, clicked, true);

  let told;
  const scrolled = () => {
    const { scrollTop, clientHeight, scrollHeight } = document.scrollingElement || document.documentElement;
    // Steps of 5 percent: at most 20 calls a page.
    const depth = Math.min(100, Math.floor(((scrollTop + clientHeight) / scrollHeight) * 20) * 5) || 0;
    if (depth > told) tell("depth", (told = depth));
  };
  addEventListener("scroll", scrolled, { passive: true });
  return () => {
    told = 0;
    scrolled();
  };
};
