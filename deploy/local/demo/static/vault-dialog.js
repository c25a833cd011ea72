// Replaces @apideck/vault-js, which needs the real Vault: opens the emulated Vault in a dialog.

import { vaultUrl } from "./account.js";
import { button, element, symbol } from "./markup.js";

export const VaultDialog = {
  open({ token, onReady, onClose }) {
    const frame = element("iframe");
    frame.title = "Your integrations";
    frame.src = `${vaultUrl()}/embedded`;
    const close = button("", () => dialog.close(), "icon");
    close.setAttribute("aria-label", "Close");
    close.append(symbol("close"));
    const title = element("h2", "", "Integrations");
    title.id = "vault-title";
    const dialog = element("dialog", "vault", element("div", "vault-bar", title, close), frame);
    dialog.setAttribute("aria-labelledby", title.id);

    // The frame gets the token as a message: a URL would keep it in the browser's history.
    const onMessage = ({ source, origin, data }) => {
      if (source !== frame.contentWindow || origin !== vaultUrl()) return;
      if (data === "on-ready") frame.contentWindow.postMessage({ token }, vaultUrl());
      if (data === "on-close") dialog.close();
    };
    addEventListener("message", onMessage);
    frame.addEventListener("load", () => onReady?.(), { once: true });
    dialog.addEventListener("close", () => {
      removeEventListener("message", onMessage);
      dialog.remove();
      onClose?.();
    });
    document.body.append(dialog);
    dialog.showModal();
  },
};
