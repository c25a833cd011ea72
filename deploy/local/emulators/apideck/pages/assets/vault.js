import "./confirm.js";
import "./countdown.js";

// In a frame, only this page gets the Escape key, and the dialog around the frame must close.
addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && parent !== window && !document.querySelector("dialog[open]")) {
    parent.postMessage("on-close", "*");
  }
});
