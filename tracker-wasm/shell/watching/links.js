// Links that leave the site or fetch a file.

const DOWNLOADS =
  "7z avi csv dmg docx? exe gz key mov mp[34] msi numbers od[pst] pages pdf pkg pptx? rar rtf txt wav wmv xlsx? zip";

/** What following a link is: `download`, `outbound` or nothing. `downloads` is a list of endings, if the page has one. */
export const kindOf = (link, host, downloads = DOWNLOADS) => {
  if (!/^https?:$/.test(link.protocol)) return "";
  const ending = new RegExp("\\.(" + downloads.trim().replace(/[\s,]+/g, "|") + ")$", "i");
  if (link.hasAttribute("download") || ending.test(link.pathname)) return "download";
  return link.host == host ? "" : "outbound";
};
