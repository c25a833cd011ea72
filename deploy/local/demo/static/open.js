// Opens the Vault when the user clicks a button. A failure is shown beside the button.

import { isAborted, vaultAccess } from "./account.js";
import { isBusy, setBusy, setIdle } from "./busy.js";
import { clearFailures, showFailure } from "./failure.js";
import { openVault } from "./vault-bff-client/index.js";

/** Opens the Vault; `request` is the body of the request for a session. */
export async function open(button, name, request, container) {
  if (isBusy(button)) return;
  clearFailures();
  setBusy(button, `Opening ${name}`);
  try {
    await openVault({ ...(await vaultAccess()), request });
    // The button stays busy while the browser leaves the page.
  } catch (error) {
    setIdle(button);
    if (isAborted(error)) return;
    showFailure(container, error, () => {
      button.focus();
      open(button, name, request, container);
    });
  }
}
