import { openVault } from "./open-vault.js";

const CONNECTORS = [
  { name: "QuickBooks", unified_api: "accounting", service_id: "quickbooks", kind: "Accounting" },
  { name: "Xero", unified_api: "accounting", service_id: "xero", kind: "Accounting" },
  { name: "HubSpot", unified_api: "crm", service_id: "hubspot", kind: "CRM" },
  { name: "Salesforce", unified_api: "crm", service_id: "salesforce", kind: "CRM" },
  { name: "BambooHR", unified_api: "hris", service_id: "bamboohr", kind: "HR" },
];

const config = await (await fetch("/config.json")).json();
const people = await (await fetch(`${config.issuer}/people`)).json();
const person = document.querySelector("#person");
const message = document.querySelector("#message");

for (const one of people) {
  person.append(new Option(`${one.name} (${one.org_name})`, one.id));
}
person.value = sessionStorage.getItem("person") ?? people[0].id;
person.addEventListener("change", greet);
greet();

for (const connector of CONNECTORS) {
  const item = document.createElement("li");
  const text = document.createElement("div");
  const name = document.createElement("b");
  const kind = document.createElement("span");
  name.textContent = connector.name;
  kind.textContent = connector.kind;
  text.append(name, kind);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Connect";
  button.setAttribute("aria-label", `Connect ${connector.name}`);
  const { unified_api, service_id } = connector;
  button.addEventListener("click", () => go(button, { unified_api, service_id }));
  item.append(text, button);
  document.querySelector("#connectors").append(item);
}
const all = document.querySelector("#all");
all.addEventListener("click", () => go(all));

function greet() {
  sessionStorage.setItem("person", person.value);
  const one = people.find(({ id }) => id === person.value);
  document.querySelector("#greeting").textContent = one
    ? `${one.name}, these are the systems that ${one.org_name} can connect.`
    : "Sign in to connect your systems.";
}

async function go(button, connection) {
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  message.hidden = true;
  try {
    await openVault(config.service, await accessToken(), connection);
  } catch (error) {
    message.textContent = error.message;
    message.hidden = false;
  } finally {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }
}

// A real application has its own sign-in; this one asks the development issuer.
async function accessToken() {
  if (!person.value) throw new Error("You are not signed in.");
  const answer = await fetch(`${config.issuer}/token?person=${person.value}`);
  return (await answer.json()).access_token;
}
