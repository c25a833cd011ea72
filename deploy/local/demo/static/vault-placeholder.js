// Replaces @apideck/vault-js, which needs the real Vault: shows the options that it receives.

const SHOWN_OF_TOKEN = 12;

export const VaultPlaceholder = {
  open({ token, onReady, onClose, ...options }) {
    const dialog = document.querySelector("#vault");
    const list = dialog.querySelector("dl");
    list.replaceChildren();
    // A session token is a secret like a password, so even a demo shows only its start.
    describe(list, "token", `${token.slice(0, SHOWN_OF_TOKEN)}… (${token.length} characters)`);
    for (const [name, value] of Object.entries({ onReady, onClose, ...options })) {
      if (value !== undefined) {
        describe(list, name, typeof value === "function" ? "a function" : String(value));
      }
    }
    dialog.addEventListener("close", () => onClose?.(), { once: true });
    dialog.showModal();
    onReady?.();
  },

  close() {
    document.querySelector("#vault").close();
  },
};

function describe(list, name, value) {
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  term.textContent = name;
  description.textContent = value;
  list.append(term, description);
}
