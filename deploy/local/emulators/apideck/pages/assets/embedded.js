// The frame that Vault JS opens: it gets the session token from the page around it, as a message.

addEventListener("message", ({ source, data }) => {
  if (source !== parent || typeof data?.token !== "string") return;
  location.replace(`/session/${encodeURIComponent(data.token)}?embedded=true`);
});
parent.postMessage("on-ready", "*");
