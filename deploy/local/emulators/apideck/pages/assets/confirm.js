// Asks for confirmation before a destructive action. Without JavaScript, the form is submitted
// immediately.

const dialog = document.querySelector("dialog");
const confirm = dialog.querySelector("[value=confirmed]");
let chosen;

addEventListener("submit", (event) => {
  const { title, text, confirm: label } = event.submitter?.dataset ?? {};
  if (!label || event.submitter === chosen) return;
  event.preventDefault();
  chosen = event.submitter;
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("#confirm-text").textContent = text;
  confirm.textContent = label;
  dialog.returnValue = "";
  dialog.showModal();
});

dialog.addEventListener("close", () => {
  if (dialog.returnValue === "confirmed") chosen.form.requestSubmit(chosen);
  chosen = undefined;
});
