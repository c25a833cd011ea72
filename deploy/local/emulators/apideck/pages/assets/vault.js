import "./confirm.js";
import "./countdown.js";

// In a frame, Escape reaches this page only, and the dialog around it has to close.
addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && parent !== window && !document.querySelector("dialog[open]")) {
    parent.postMessage("on-close", "*");
  }
});
