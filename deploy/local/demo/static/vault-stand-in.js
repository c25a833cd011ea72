// Stands in for @apideck/vault-js, whose Vault is not on this machine: shows what it was handed.

const SHOWN_OF_TOKEN = 12;

export const VaultStandIn = {
  open({ token, onReady, onClose, ...options }) {
    const dialog = document.querySelector("#vault");
    const list = dialog.querySelector("dl");
    list.replaceChildren();
    // It is as good as a password: not even a demo shows more than its beginning.
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
